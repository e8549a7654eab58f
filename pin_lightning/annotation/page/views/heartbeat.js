// Tells the server which volume this tab has open.

import * as api from "../api.js";

const EVERY_MS = 10_000;

export class Heartbeat {
  #timer = null;

  constructor(tab) {
    this.tab = tab;
  }

  begin(id) {
    this.end();
    const beat = () => document.hidden || api.looking(id, this.tab).catch(() => {});
    beat();
    this.#timer = setInterval(beat, EVERY_MS);
  }

  end() {
    clearInterval(this.#timer);
  }
}
