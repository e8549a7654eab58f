// What the server tells while the page is open: volumes, progress, training, session.

import { Stream } from "./stream.js";

const PATIENCE_MS = 10_000; // for a worker to begin

/** Call `begin` now and when the page comes back from the browser's memory, `end` when it goes there. */
function whileShown(begin, end) {
  begin();
  addEventListener("pagehide", end);
  addEventListener("pageshow", (event) => event.persisted && begin());
}

/**
 * Listen to the server, by the stream of all tabs or, in browsers without shared workers, by an own
 * one; goes on by itself after a break.
 * @param handlers by kind, and `connected` (true again, or false)
 */
export function listen(handlers) {
  const hear = ({ kind, content }) => handlers[kind]?.(content);
  const alone = () => {
    const stream = new Stream("api/events", hear);
    whileShown(() => stream.open(), () => stream.close());
  };
  let worker = null;
  try {
    worker = new SharedWorker(new URL("live_worker.js", import.meta.url), { type: "module" });
  } catch {
    alone();
    return;
  }
  const { port } = worker;
  const fail = () => {
    clearTimeout(timer);
    port.onmessage = null;
    alone();
  };
  const timer = setTimeout(fail, PATIENCE_MS);
  worker.addEventListener("error", fail, { once: true });
  port.onmessage = ({ data }) => {
    clearTimeout(timer);
    hear(data);
  };
  whileShown(() => port.postMessage("join"), () => port.postMessage("leave"));
}
