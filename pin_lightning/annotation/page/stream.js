// The server's stream of events, opened again after each break.

const KINDS = ["volume", "progress", "training", "session"];
const PAUSE_MS = 2000;

export class Stream {
  connected = null; // whether it is open; null before that is known
  #source = null;
  #timer = null;

  /** @param tell called with {kind, content}: an event, or "connected" with true or false */
  constructor(url, tell) {
    Object.assign(this, { url, tell });
  }

  open() {
    this.close();
    const source = new EventSource(this.url);
    this.#source = source;
    source.addEventListener("open", () => this.#connect(true));
    source.addEventListener("error", () => {
      this.#connect(false);
      if (source.readyState === EventSource.CLOSED) {
        this.#timer = setTimeout(() => this.open(), PAUSE_MS); // after an answer that is no stream it does not try again itself
      }
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, ({ data }) => this.tell({ kind, content: JSON.parse(data) }));
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #connect(now) {
    if (now !== this.connected) {
      this.connected = now;
      this.tell({ kind: "connected", content: now });
    }
  }
}
