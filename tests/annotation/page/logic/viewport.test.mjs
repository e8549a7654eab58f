import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf } from "../../../../pin_lightning/annotation/page/logic/keys.js";
import { PLANES } from "../../../../pin_lightning/annotation/page/logic/planes.js";
import { Viewport } from "../../../../pin_lightning/annotation/page/logic/viewport.js";

/** Of a volume of 20 x 40 x 80 mm with voxels of 0.5 mm, in planes of 400 x 300 pixels. */
function opened(size = [400, 300]) {
  const view = new Viewport(() => PLANES.map((plane) => [plane, size]));
  view.begin([-10, -20, -40], [20, 40, 80], 0.5);
  return view;
}

test("a whole volume fits into every plane", () => {
  const view = opened();
  assert.deepEqual(view.centre, [0, 0, 0]);
  assert.equal(view.scale, 0.94 * (300 / 80));
  assert.deepEqual(view.depths(2), [-40, 40, 0.5]);
});

test("a fitted view is fitted again, one that a person moved is not", () => {
  const size = [1, 1];
  const view = opened(size);
  view.near([1, 2, 3]);
  size.splice(0, 2, 400, 300);
  view.change({ cursor: [1, 2, 4] });
  view.resized();
  assert.equal(view.scale, 300 / 55);
  assert.deepEqual([view.centre, view.cursor], [[1, 2, 3], [1, 2, 4]]);
  view.zoomBy(2);
  size.splice(0, 2, 800, 600);
  view.resized();
  assert.equal(view.scale, 600 / 55);
});

test("the scale has bounds, a wide radius has room", () => {
  const view = opened();
  view.zoomBy(1e9);
  assert.equal(view.scale, 120);
  view.zoomBy(1e-9);
  assert.equal(view.scale, (0.94 * (300 / 80)) / 2);
  view.near([0, 0, 0], 14);
  assert.equal(view.scale, 300 / 70);
});

test("steps go along the normal, nudges as they are drawn", () => {
  const view = opened();
  const [axial, , sagittal] = PLANES;
  assert.deepEqual(view.stepped(axial, 2), [0, 0, 1]);
  assert.deepEqual(view.nudged(axial, [1, 1, 1], 1, 1), [0.5, 1.5, 1]);
  assert.deepEqual(view.nudged(sagittal, [1, 1, 1], -1, 0), [1, 1.5, 1]);
});

test("keys do what the help says, and nothing while a name is typed", () => {
  const key = (name, more = {}) => ({ key: name, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...more });
  assert.equal(actionOf(key("a")), "accept");
  assert.equal(actionOf(key("A"), "BUTTON"), "accept");
  assert.equal(actionOf(key("a"), "INPUT", "search"), null);
  assert.equal(actionOf(key("z", { ctrlKey: true })), "undo");
  assert.equal(actionOf(key("Z", { metaKey: true, shiftKey: true })), "redo");
  assert.equal(actionOf(key("ArrowUp", { shiftKey: true })), "nudgeUp");
  assert.equal(actionOf(key("ArrowUp"), "INPUT", "range"), null);
  assert.equal(actionOf(key("Enter"), "BUTTON"), null);
  assert.equal(actionOf(key("Enter"), "DIV"), "put");
  assert.equal(actionOf(key("?", { shiftKey: true })), "help");
  assert.equal(actionOf(key("a", { ctrlKey: true })), null);
});
