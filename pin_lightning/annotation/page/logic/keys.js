// Keys of a volume, for the help and for what they do.

export const KEYS = [
  ["Landmarks", [
    ["↓ or J, ↑ or K", "next, previous landmark"],
    ["P", "place it: click in a plane"],
    ["Enter", "put it where the lines cross"],
    ["Shift + arrows", "move it by half a voxel in the plane used last"],
    ["M", "missing, or not"],
    ["R", "back to the prediction"],
    ["Ctrl + Z, Ctrl + Shift + Z", "undo, redo"],
  ]],
  ["Volumes", [
    ["A", "accept, and go to the next doubtful one"],
    ["N, B", "next, previous volume of the list"],
    ["L", "the list"],
  ]],
  ["View", [
    ["Wheel, Page up, Page down", "through the slices"],
    ["Ctrl + wheel, + and −", "closer, farther"],
    ["F, 0", "the landmark up close, the whole volume"],
    ["1 to 4", "one view large, or all"],
    ["X", "anatomical axes or those of the scanner"],
    ["H", "hide or show the landmarks"],
    ["T", "names of all landmarks"],
    ["W", "grey values as at first"],
    ["?", "this help"],
  ]],
];

export const MOUSE = [
  ["Drag a landmark", "moves it, to a fraction of a voxel"],
  ["Drag beside it", "moves the picture"],
  ["Click beside it", "brings the other planes there"],
  ["Drag with the right button", "window (left, right) and level (up, down)"],
  ["Two fingers", "closer, farther, and along"],
];

const PLAIN = {
  ArrowDown: "next", j: "next", ArrowUp: "previous", k: "previous",
  p: "place", Enter: "put", m: "missing", r: "predicted",
  a: "accept", n: "nextVolume", b: "previousVolume", l: "list",
  PageUp: "sliceUp", PageDown: "sliceDown", "+": "closer", "=": "closer", "-": "farther",
  f: "near", 0: "whole", 1: "large1", 2: "large2", 3: "large3", 4: "large4",
  x: "axes", h: "hide", t: "names", w: "window", "?": "help", Escape: "escape",
};
const SHIFTED = { ArrowLeft: "nudgeLeft", ArrowRight: "nudgeRight", ArrowUp: "nudgeUp", ArrowDown: "nudgeDown" };
const TYPED = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const OWN_ENTER = new Set(["BUTTON", "A", "SUMMARY"]);

/**
 * What a key does, or null.
 * @param event {key, ctrlKey, metaKey, shiftKey, altKey}
 * @param tag of the focused element, in capitals
 * @param kind its type, where it is an input
 */
export function actionOf(event, tag = "", kind = "") {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const typing = TYPED.has(tag) && kind !== "range" && kind !== "checkbox" && kind !== "radio";
  if (typing || event.altKey) {
    return null;
  }
  if (event.ctrlKey || event.metaKey) {
    return { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key] ?? null;
  }
  if (event.shiftKey && SHIFTED[key]) {
    return SHIFTED[key];
  }
  const own = (key === "Enter" && OWN_ENTER.has(tag)) || (kind && /^(Arrow|Page)/.test(key));
  return own ? null : (PLAIN[key] ?? null);
}
