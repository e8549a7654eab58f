// Requests to the server that the page came from.

import { isDone } from "./logic/volumes.js";

const PATIENCE_MS = 30_000;

/** An answer other than 2xx: `status`, and `body` where it is JSON. */
export class RequestError extends Error {
  constructor(status, body) {
    super(typeof body?.detail === "string" ? body.detail : `The server answered ${status}.`);
    this.status = status;
    this.body = body;
  }
}

async function answer(path, options = {}) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const reply = await fetch(path, { credentials: "same-origin", signal, ...options });
  if (!reply.ok) {
    throw new RequestError(reply.status, await reply.json().catch(() => null));
  }
  return reply;
}

async function json(method, path, content, headers = {}) {
  const body = content === undefined ? undefined : JSON.stringify(content);
  const type = content === undefined ? {} : { "Content-Type": "application/json" };
  const reply = await answer(path, { method, body, headers: { ...type, ...headers } });
  return reply.status === 204 ? null : reply.json();
}

/** `done` says whether a person ended a volume. */
function withDone(volume) {
  return { ...volume, done: volume.done ?? isDone(volume) };
}

const at = (id, part = "") => `api/volumes/${encodeURIComponent(id)}${part}`;

export const session = () => json("GET", "api/session");
export const setLandmarks = (names) => json("PUT", "api/session/landmarks", { names });
export const changeLandmarks = (change) => json("PATCH", "api/session/landmarks", change);
export const volumes = () => json("GET", "api/volumes");
export const volume = async (id) => withDone(await json("GET", at(id)));
export const predict = (id) => json("POST", at(id, "/predict"));
export const looking = (id, tab) => json("POST", at(id, "/looking"), { tab });
export const next = (strategy) => json("GET", `api/next?strategy=${strategy}`);
export const training = () => json("GET", "api/training");
export const train = () => json("POST", "api/training");
export const cancelTraining = () => json("DELETE", "api/training");
export const contradictions = () => json("GET", "api/contradictions");

/** Say that a tab has a volume open no more, even while the page is left. */
export function closed(id, tab) {
  const content = new Blob([JSON.stringify({ tab, closed: true })], { type: "application/json" });
  navigator.sendBeacon(at(id, "/looking"), content);
}

/** Upload a template of 3D Slicer whose landmark names are to be used. */
export async function setTemplate(file) {
  const body = new FormData();
  body.append("file", file);
  return (await answer("api/session/template", { method: "POST", body })).json();
}

/** Save a volume of which the server has `version`. */
export async function save(id, version, { landmarks, done, seconds }) {
  const marks = landmarks.map(({ name, position, missing }) => ({ name, position, missing }));
  try {
    const content = { landmarks: marks, done, seconds };
    return await json("PUT", at(id), content, { "If-Match": `"${version}"` });
  } catch (error) {
    if (error.status === 409 && error.body?.landmarks) {
      error.body = withDone(error.body);
    }
    throw error;
  }
}

/** The whole volume in a view frame, at a resolution that a browser can hold. */
export async function image(id, frame) {
  return (await answer(at(id, `/image?frame=${frame}`))).arrayBuffer();
}

/** A cube at full resolution around a point in mm of a view frame. */
export async function detail(id, frame, [x, y, z], side) {
  const place = { frame, x: x.toFixed(4), y: y.toFixed(4), z: z.toFixed(4), side_mm: side.toFixed(4) };
  return (await answer(at(id, `/detail?${new URLSearchParams(place)}`))).arrayBuffer();
}
