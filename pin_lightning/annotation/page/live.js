// What the server tells while the page is open: volumes, progress, training, session.

const KINDS = ["volume", "progress", "training", "session"];

/**
 * Listen to the server; goes on by itself after a break.
 * @param handlers by kind, and `connected` (true again, or false)
 */
export function listen(handlers) {
  let connected = null;
  let source = null;
  const tell = (now) => {
    if (now !== connected) {
      connected = now;
      handlers.connected(now);
    }
  };
  const open = () => {
    source = new EventSource("api/events");
    source.addEventListener("open", () => tell(true));
    source.addEventListener("error", () => {
      tell(false);
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(open, 2000); // after an answer that is no stream it does not try again itself
      }
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => handlers[kind]?.(JSON.parse(event.data)));
    }
  };
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && open());
}
