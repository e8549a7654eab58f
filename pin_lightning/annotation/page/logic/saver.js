// Saves a volume soon after each change, again while the server is away, and never over what others did.

import { withName } from "./landmarks.js";
import { compare, differing, merged } from "./merge.js";

export const DELAY_MS = 300;
const RETRY_MS = [1000, 2000, 4000, 8000];
const TEMPORARY = new Set([408, 425, 429]);

/** Whether an error of a request may go away by itself: no answer, or a server in trouble. */
export function isTemporary(error) {
  return error.status === undefined || error.status >= 500 || TEMPORARY.has(error.status);
}

/**
 * States: "saved", "waiting" (to be sent), "saving", "away" (no server, tried again), "conflict"
 * (`theirs` is what was saved elsewhere), "refused" (`message` says why).
 */
export class Saver {
  #timer = null;
  #attempts = 0;
  #unanswered = null; // what was sent last without an answer: it may have arrived
  #heard = 0;
  #again = false; // to be read once all is saved
  #seconds = 0; // worked, not saved yet

  /**
   * @param volume as the server gives it
   * @param send async (id, version, {landmarks, done, seconds}) -> {version, state}
   * @param read async (id) -> volume
   * @param drafts of drafts.js
   * @param clock {set: (callback, ms) -> timer, clear}
   * @param takeSeconds seconds worked since it was called last
   * @param notify called after each change of state
   */
  constructor({ volume, send, read, drafts, clock, takeSeconds, notify }) {
    Object.assign(this, { send, read, drafts, clock, takeSeconds, notify });
    this.id = volume.id;
    this.name = volume.name;
    this.theirs = null;
    this.message = "";
    this.#begin(volume);
    this.status = "saved";
  }

  get dirty() {
    return this.done !== this.base.done || differing(this.base.landmarks, this.mine).size > 0;
  }

  get unsaved() {
    return this.status !== "saved";
  }

  /** Set what is to be saved. */
  change(landmarks, done) {
    this.mine = landmarks;
    this.done = done;
    this.#keep();
    if (this.status !== "saving" && this.status !== "conflict") {
      this.#schedule(DELAY_MS, this.status === "away" ? "away" : "waiting");
    }
  }

  /** Take up a draft that was made of this version, or of another one. */
  restore(draft) {
    const theirs = { version: this.version, ...this.base, state: this.state };
    this.mine = draft.landmarks;
    this.done = draft.done;
    if (draft.version === this.version) {
      this.change(draft.landmarks, draft.done);
      return;
    }
    this.base = { landmarks: draft.base, done: draft.baseDone };
    this.#meet(theirs);
  }

  /** Send now what waits; resolves once there is an answer. */
  async flush() {
    this.clock.clear(this.#timer);
    if (["waiting", "away", "refused"].includes(this.status)) {
      await this.#send();
    }
  }

  /** The server has this version: fetch it unless it is ours and there is no new prediction. */
  async heard(version, predicted = false) {
    this.#heard = Math.max(this.#heard, version);
    this.#again ||= predicted && this.unsaved;
    if (this.status === "saving" || (this.#heard <= this.version && !predicted)) {
      return;
    }
    try {
      const theirs = await this.read(this.id);
      const newer = theirs.version > this.version || (predicted && this.status === "saved");
      if (this.status !== "saving" && newer) {
        this.#meet(theirs);
      }
    } catch {
      // it is read again when the server is back
    }
  }

  /** A landmark has another name, on the server, too. */
  rename(name, other) {
    const renamed = (one) => one && { ...one, landmarks: withName(one.landmarks, name, other) };
    [this.base, this.#unanswered, this.theirs] = [this.base, this.#unanswered, this.theirs].map(renamed);
    this.mine = withName(this.mine, name, other);
    if (this.status === "refused") {
      this.#schedule(DELAY_MS, "waiting");
    } else if (this.status === "conflict") {
      this.#meet(this.theirs); // perhaps of the name alone
    } else {
      this.notify(this);
    }
  }

  /** End a conflict: keep "mine", take "theirs", or keep what "both" did. */
  async resolve(choice) {
    const { theirs, base, mine } = this;
    const done = choice === "theirs" ? theirs.done : this.done;
    this.#begin(theirs);
    this.theirs = null;
    if (choice === "theirs") {
      this.#settle();
      return;
    }
    const own = choice === "both" ? base.landmarks : theirs.landmarks;
    this.mine = merged(own, mine, theirs.landmarks);
    this.done = done;
    this.status = "waiting";
    this.#keep();
    await this.flush();
  }

  /** What differs in a conflict. */
  comparison() {
    return compare(this.base.landmarks, this.mine, this.theirs.landmarks);
  }

  #begin(volume) {
    this.volume = volume.frames ? volume : this.volume;
    this.version = volume.version;
    this.state = volume.state;
    this.prediction = volume.prediction;
    this.base = { landmarks: volume.landmarks, done: volume.done };
    this.mine = volume.landmarks;
    this.done = volume.done;
  }

  #keep() {
    const { version, name, mine, done, base } = this;
    const draft = { version, name, landmarks: mine, done, base: base.landmarks, baseDone: base.done };
    this.drafts.keep(this.id, draft);
  }

  #schedule(delay, status) {
    this.clock.clear(this.#timer);
    this.#timer = this.clock.set(() => this.#send(), delay);
    this.#set(status);
  }

  #set(status, message = "") {
    this.status = status;
    this.message = message;
    this.notify(this);
  }

  #settle() {
    this.drafts.drop(this.id);
    this.#attempts = 0;
    this.#set("saved");
    const again = this.#again;
    this.#again = false;
    if (again || this.#heard > this.version) {
      this.heard(this.#heard, again);
    }
  }

  async #send() {
    this.clock.clear(this.#timer);
    if (!this.dirty) {
      this.#settle();
      return;
    }
    const sent = { landmarks: this.mine, done: this.done };
    const seconds = (this.#seconds += this.takeSeconds());
    this.#set("saving");
    try {
      const reply = await this.send(this.id, this.version, { ...sent, seconds });
      this.#seconds -= seconds;
      this.#arrived(sent, reply);
    } catch (error) {
      this.#failed(sent, error);
    }
  }

  #arrived(sent, { version, state }) {
    this.version = version;
    this.state = state;
    this.base = sent;
    this.#unanswered = null;
    this.#attempts = 0;
    if (this.dirty) {
      this.#keep();
      this.#schedule(DELAY_MS, "waiting");
    } else {
      this.#settle();
    }
  }

  #failed(sent, error) {
    if (error.status === 409 && error.body?.landmarks) {
      this.#meet(error.body);
    } else if (isTemporary(error)) {
      this.#unanswered = sent;
      const delay = RETRY_MS[Math.min(this.#attempts++, RETRY_MS.length - 1)];
      this.#schedule(delay, "away");
    } else {
      this.#set("refused", error.message);
    }
  }

  /** Another version than ours is there: ours without an answer, one that changes nothing or that we can take, or a conflict. */
  #meet(theirs) {
    const same = (one) =>
      one !== null && one.done === theirs.done && !differing(one.landmarks, theirs.landmarks).size;
    if (same(this.#unanswered)) {
      this.#arrived(this.#unanswered, theirs);
    } else if (!this.dirty || same({ landmarks: this.mine, done: this.done })) {
      this.#begin(theirs);
      this.#settle();
    } else if (same(this.base)) {
      const { base, mine, done } = this;
      this.#begin(theirs);
      this.mine = merged(base.landmarks, mine, theirs.landmarks);
      this.done = done;
      this.#keep();
      this.#schedule(DELAY_MS, "waiting");
    } else {
      this.theirs = theirs;
      this.#keep();
      this.#set("conflict");
    }
  }
}
