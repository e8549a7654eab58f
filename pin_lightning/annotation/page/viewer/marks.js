// Landmarks over a plane: present and predicted position, radius to scale, crossing lines, scale bar.

import { svg } from "../dom.js";
import { cutRadius, toScreen } from "../logic/planes.js";

const NEAR_PX = 14; // landmarks this far from a plane are drawn in it, fainter
const GAP_PX = 13; // left free around the place where the lines cross
const BARS_MM = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200];

/** Landmarks that a plane shows, each with its place in pixels; the selected one last, on top. */
export function shownIn(plane, view, size, landmarks) {
  const reach = NEAR_PX / view.scale;
  const shown = [];
  for (const one of landmarks) {
    const depth = one.view === null ? Infinity : one.view[plane.normal] - view.cursor[plane.normal];
    const near = Math.abs(depth) <= Math.max(reach, one.radius_mm ?? 0);
    if (near || (one.selected && one.view !== null)) {
      const share = Math.min(1, Math.abs(depth) / (2 * reach));
      shown.push({ ...one, depth, at: toScreen(plane, view, size, one.view), faint: share });
    }
  }
  return shown.sort((one, other) => Number(one.selected) - Number(other.selected));
}

const line = (kind, x1, y1, x2, y2) => svg("line", { class: kind, x1, y1, x2, y2 });

/** Lines at the other two planes, open around the middle. */
export function cross(plane, view, [width, height]) {
  const [x, y] = toScreen(plane, view, [width, height], view.cursor);
  return svg(
    "g",
    { class: "cross" },
    line("", 0, y, x - GAP_PX, y),
    line("", x + GAP_PX, y, width, y),
    line("", x, 0, x, y - GAP_PX),
    line("", x, y + GAP_PX, x, height),
  );
}

/** The predicted position as a diamond, and a line from it to the present one. */
export function prediction(plane, view, size, one) {
  const depth = one.predictedView[plane.normal] - view.cursor[plane.normal];
  const [x, y] = toScreen(plane, view, size, one.predictedView);
  const faint = Math.min(0.75, (Math.abs(depth) * view.scale) / 60);
  const diamond = svg("path", { d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z` });
  const group = svg("g", { class: "predicted", opacity: 1 - faint }, diamond);
  if (one.view !== null) {
    const [toX, toY] = toScreen(plane, view, size, one.view);
    group.prepend(line("path", x, y, toX, toY));
  }
  if (one.missing) {
    group.append(svg("path", { d: `M${x - 9} ${y - 9}l18 18m0 -18l-18 18` }));
  }
  return group;
}

/** A landmark with its radius, cut by the plane. */
export function landmark(plane, view, one, withName) {
  const [x, y] = one.at;
  const kind = `mark${one.selected ? " selected" : ""}`;
  const group = svg("g", { class: kind, dataset: { name: one.name }, opacity: 1 - 0.7 * one.faint });
  const radius = one.radius_mm ? cutRadius(one.radius_mm, one.depth) * view.scale : 0;
  if (radius > 0) {
    group.append(svg("circle", { class: "radius", cx: x, cy: y, r: radius }));
  }
  group.append(svg("title", {}, one.name));
  if (one.selected) {
    const ticks = `M${x - 11} ${y}h7M${x + 4} ${y}h7M${x} ${y - 11}v7M${x} ${y + 4}v7`;
    group.append(svg("path", { class: "halo", d: ticks }), svg("path", { class: "ticks", d: ticks }));
    group.append(svg("circle", { class: "dot", cx: x, cy: y, r: 1.3 }));
  } else {
    group.append(svg("circle", { class: "dot", cx: x, cy: y, r: 3.5 }));
  }
  if (withName || one.selected) {
    group.append(svg("text", { x: x + 13, y: y - 9 }, one.name));
  }
  return group;
}

/** A bar of a round length. */
export function scaleBar(view, [width, height]) {
  const longest = Math.min(90, width / 5);
  const mm = BARS_MM.findLast((one) => one * view.scale <= longest) ?? BARS_MM[0];
  const [x, y, length] = [12, height - 14, mm * view.scale];
  const bar = svg("path", { d: `M${x} ${y - 4}v4h${length}v-4` });
  return svg("g", { class: "scale" }, bar, svg("text", { x: x + length + 6, y: y + 1 }, `${mm} mm`));
}

/** Letters of the sides; a view along the anatomy has none, since no header names its axes. */
export function letters(plane, [width, height]) {
  const [left, right, top, bottom] = plane.letters;
  const at = (x, y, text) => svg("text", { x, y, "text-anchor": "middle" }, text);
  const middle = [at(12, height / 2, left), at(width - 12, height / 2, right)];
  const ends = [at(width / 2, 18, top), at(width / 2, height - 8, bottom)];
  return svg("g", { class: "letters", "aria-hidden": "true" }, ...middle, ...ends);
}
