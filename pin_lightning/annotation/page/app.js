// What all views share: the session, the volumes, what is being saved.

import * as api from "./api.js";
import { Drafts } from "./logic/drafts.js";
import { Saver } from "./logic/saver.js";
import { WorkTime } from "./logic/worktime.js";

const CLOCK = { set: (callback, ms) => setTimeout(callback, ms), clear: (timer) => clearTimeout(timer) };

/** Browsers may refuse storage altogether. */
function storage(kind) {
  try {
    return globalThis[kind] ?? null;
  } catch {
    return null;
  }
}

/** Name of this tab, which stays when it is loaded again. */
function nameOfTab() {
  const kept = storage("sessionStorage");
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const name = kept?.getItem("pin-lightning/tab") ?? [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  kept?.setItem("pin-lightning/tab", name);
  return name;
}

export class App extends EventTarget {
  session = null;
  volumes = [];
  progress = { done: 0, total: 0, minutes_left: null };
  training = { state: "idle" };
  filter = "open";
  text = "";
  tab = nameOfTab();
  #savers = new Map();

  tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  on(kind, handler) {
    this.addEventListener(kind, (event) => handler(event.detail));
  }

  async begin() {
    await this.readSession();
    this.drafts = new Drafts(storage("localStorage"), this.session.key ?? this.session.title);
    await this.readVolumes();
  }

  async readSession() {
    this.setSession(await api.session());
  }

  setSession(session) {
    const names = (one) => one?.landmarks.join("\n");
    const changed = this.session !== null && names(this.session) !== names(session);
    this.session = session;
    this.progress = session.progress ?? this.progress;
    this.setTraining(session.training ?? this.training);
    this.tell("session");
    if (changed) {
      this.#savers.forEach((one) => one.heard(one.version, true));
    }
  }

  /** What the server says of the training; `heardAt` is when. */
  setTraining(status) {
    this.training = { ...status, heardAt: performance.now() };
  }

  /** Landmark names were changed, here or elsewhere; what is not saved yet takes part in it. */
  named(change) {
    if (change?.kind === "rename") {
      this.tell("renamed", change);
      this.#savers.forEach((one) => one.rename(change.name, change.new_name));
    }
  }

  async readVolumes() {
    const { volumes, progress } = await api.volumes();
    this.volumes = volumes;
    this.progress = progress;
    volumes.forEach((one) => this.heard(one));
    this.tell("volumes");
  }

  /** Whether landmark names are to be asked for. */
  get isNew() {
    return this.session.run === null && this.session.landmarks.length === 0;
  }

  /** The one that saves a volume, whichever view shows it. */
  saverOf(volume) {
    const known = this.#savers.get(volume.id);
    if (known?.unsaved) {
      return known;
    }
    const time = new WorkTime();
    const saver = new Saver({
      volume,
      send: api.save,
      read: api.volume,
      drafts: this.drafts,
      clock: CLOCK,
      takeSeconds: () => time.take(),
      notify: () => this.tell("saver", saver),
    });
    saver.time = time;
    this.#savers.set(volume.id, saver);
    this.#restore(saver);
    return saver;
  }

  #restore(saver) {
    const draft = this.drafts.read(saver.id);
    const fitted = (landmarks) => saver.mine.map((one) => landmarks.find(({ name }) => name === one.name) ?? one); // names may be others by now
    if (draft?.landmarks && draft.base) {
      saver.restore({ ...draft, landmarks: fitted(draft.landmarks), base: fitted(draft.base) });
    }
  }

  get unsaved() {
    return [...this.#savers.values()].filter((one) => one.unsaved);
  }

  /** Try all that waits for the server. */
  retry() {
    this.unsaved.filter((one) => one.status !== "conflict").forEach((one) => one.flush());
  }

  heard({ id, version, state, prediction }) {
    const saver = this.#savers.get(id);
    saver?.heard(version, state !== saver.state || prediction !== saver.prediction);
  }
}

