// Landmarks of a volume: {name, position, predicted, radius_mm, missing, reason}, never changed in place.

import { distance } from "./frames.js";

const SAME_MM = 1e-4; // what a text file may lose

/** Whether two places are the same. */
export function samePlace(one, other) {
  return one === null || other === null ? one === other : distance(one, other) < SAME_MM;
}

/** Whether two landmarks say the same of where a landmark is. */
export function sameMark(one, other) {
  return one.missing === other.missing && samePlace(one.position, other.position);
}

/** Landmarks of which one has another name. */
export function withName(landmarks, name, other) {
  return landmarks.map((one) => (one.name === name ? { ...one, name: other } : one));
}

/** What can be set of a landmark. */
export function mark(position, missing = false) {
  return { position: missing ? null : position, missing };
}

/** Landmarks of which one is replaced. */
export function withMark(landmarks, name, { position, missing }) {
  return landmarks.map((one) => (one.name === name ? { ...one, position, missing } : one));
}

/**
 * What a person changed since the prediction.
 * @returns {kind: "same" | "moved" | "placed" | "missing" | "open", mm: distance or null}
 */
export function changeOf(landmark) {
  const { position, predicted, missing } = landmark;
  if (missing) {
    return { kind: "missing", mm: null };
  }
  if (position === null) {
    return { kind: "open", mm: null };
  }
  if (predicted === null) {
    return { kind: "placed", mm: null };
  }
  const kind = samePlace(position, predicted) ? "same" : "moved";
  return { kind, mm: distance(position, predicted) };
}

/** One line on what changed since the prediction. */
export function summary(landmarks) {
  const changes = landmarks.map(changeOf);
  const count = (kind) => changes.filter((one) => one.kind === kind).length;
  const farthest = Math.max(0, ...changes.filter((one) => one.kind === "moved").map((one) => one.mm));
  const parts = [
    count("moved") && `${count("moved")} moved (by up to ${farthest.toFixed(2)} mm)`,
    count("placed") && `${count("placed")} placed`,
    count("missing") && `${count("missing")} missing`,
    count("open") && `${count("open")} to place`,
    count("same") && `${count("same")} as predicted`,
  ];
  return parts.filter(Boolean).join(", ") || "no landmarks";
}

/** Names in the order of the file, or the widest radius first. */
export function ordered(landmarks, order) {
  if (order !== "doubt") {
    return landmarks.map((one) => one.name);
  }
  const rank = (one) => (one.position === null && !one.missing ? Infinity : (one.radius_mm ?? -1));
  const keyed = landmarks.map((one) => [rank(one), one.name]);
  keyed.sort((one, other) => (one[0] === other[0] ? 0 : other[0] - one[0]));
  return keyed.map(([, name]) => name);
}

/** The next name that is neither placed nor missing, after `name` and around; null without one. */
export function nextOpen(landmarks, name) {
  const start = landmarks.findIndex((one) => one.name === name) + 1;
  const turned = [...landmarks.slice(start), ...landmarks.slice(0, start)];
  return turned.find((one) => one.position === null && !one.missing)?.name ?? null;
}
