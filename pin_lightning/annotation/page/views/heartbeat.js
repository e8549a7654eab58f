// Tells the server which volume this tab has open, and when it has not any more.

import * as api from "../api.js";

const EVERY_MS = 10_000;

export class Heartbeat {
  #timer = null;
  #id = null;

  constructor(tab) {
    this.tab = tab;
    addEventListener("pagehide", () => this.end());
  }

  begin(id) {
    this.end();
    this.#id = id;
    const beat = () => document.hidden || api.looking(id, this.tab).catch(() => {});
    beat();
    this.#timer = setInterval(beat, EVERY_MS);
  }

  end() {
    clearInterval(this.#timer);
    if (this.#id !== null) {
      api.closed(this.#id, this.tab);
      this.#id = null;
    }
  }
}
