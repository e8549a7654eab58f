// One stream of events for all tabs of a browser: it has six connections to a server, which seven tabs would use up.

import { Stream } from "./stream.js";

const ports = new Set();
const stream = new Stream("../api/events", (news) => ports.forEach((port) => port.postMessage(news)));

function join(port) {
  ports.add(port);
  port.postMessage({ kind: "joined" });
  if (ports.size === 1) {
    stream.connected = null;
    stream.open();
  } else if (stream.connected !== null) {
    port.postMessage({ kind: "connected", content: stream.connected });
  }
}

function leave(port) {
  ports.delete(port);
  if (ports.size === 0) {
    stream.close();
  }
}

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => (data === "join" ? join : leave)(port);
});
