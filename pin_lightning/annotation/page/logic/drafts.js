// What is not saved yet, kept in the browser by volume and version, so that a closed laptop loses nothing.

const PREFIX = "pin-lightning/draft/";

export class Drafts {
  /** @param storage like localStorage; @param folder names the annotations that are served */
  constructor(storage, folder) {
    this.storage = storage;
    this.prefix = `${PREFIX}${folder}/`;
  }

  /** Keep {version, name, landmarks, base, done} of a volume. Returns false where there is no room. */
  keep(id, draft) {
    try {
      this.storage.setItem(this.prefix + id, JSON.stringify(draft));
      return true;
    } catch {
      return false;
    }
  }

  drop(id) {
    try {
      this.storage.removeItem(this.prefix + id);
    } catch {
      // a browser without storage keeps nothing
    }
  }

  read(id) {
    try {
      return JSON.parse(this.storage.getItem(this.prefix + id));
    } catch {
      return null;
    }
  }

  /** Ids of the volumes with a draft. */
  ids() {
    const found = [];
    for (let index = 0; index < (this.storage?.length ?? 0); index++) {
      const key = this.storage.key(index);
      if (key.startsWith(this.prefix)) {
        found.push(key.slice(this.prefix.length));
      }
    }
    return found;
  }
}
