// Seconds that a person worked: times between actions, unless nothing was done for a while.

const IDLE_MS = 30_000;

export class WorkTime {
  #last = null;
  #milliseconds = 0;

  /** Note that something was done at `now` ms. */
  act(now) {
    if (this.#last !== null) {
      this.#milliseconds += Math.min(now - this.#last, IDLE_MS);
    }
    this.#last = now;
  }

  /** Seconds since this was asked last. */
  take() {
    const seconds = this.#milliseconds / 1000;
    this.#milliseconds = 0;
    return Math.round(seconds * 10) / 10;
  }
}
