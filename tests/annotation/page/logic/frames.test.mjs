import assert from "node:assert/strict";
import { test } from "node:test";

import { Frame, apply, distance, inverse } from "../../../../pin_lightning/annotation/page/logic/frames.js";
import { PLANES, cutRadius, toMm, toScreen, zoomedCentre } from "../../../../pin_lightning/annotation/page/logic/planes.js";

const near = (one, other) => one.forEach((value, axis) => assert.ok(Math.abs(value - other[axis]) < 1e-9));
const OBLIQUE = [
  [-0.36, 0.48, 0.8, 12],
  [0.8, 0.6, 0, -7],
  [-0.48, 0.64, -0.6, 100],
  [0, 0, 0, 1],
];

test("the inverse of an oblique, flipped affine leads back", () => {
  near(apply(inverse(OBLIQUE), apply(OBLIQUE, [1.25, -3, 8])), [1.25, -3, 8]);
  const frame = new Frame({ to_world: OBLIQUE, extent_mm: [1, 1, 1] });
  near(frame.toWorld(frame.toView([4, 5, 6])), [4, 5, 6]);
  assert.equal(frame.toView(null), null);
  assert.equal(distance([0, 0, 0], [2, 3, 6]), 7);
});

test("a pixel of a plane is a point in mm, and back", () => {
  const view = { centre: [10, 20, 30], scale: 4 };
  for (const plane of PLANES) {
    near(toScreen(plane, view, [300, 200], [10, 20, 30]), [150, 100]);
    const mm = toMm(plane, view, [300, 200], [17.5, 160.25], 3);
    assert.equal(mm[plane.normal], 3);
    near(toScreen(plane, view, [300, 200], mm), [17.5, 160.25]);
  }
});

test("right is on the left, the front of a sagittal plane too, and up is up", () => {
  const view = { centre: [0, 0, 0], scale: 1 };
  const [axial, coronal, sagittal] = PLANES;
  near(toScreen(axial, view, [0, 0], [5, 7, 0]), [-5, -7]);
  near(toScreen(coronal, view, [0, 0], [5, 0, 7]), [-5, -7]);
  near(toScreen(sagittal, view, [0, 0], [0, 5, 7]), [-5, -7]);
});

test("zooming keeps the point under the pointer", () => {
  const view = { centre: [1, 2, 3], scale: 2 };
  for (const plane of PLANES) {
    const mm = toMm(plane, view, [100, 80], [10, 70], 0);
    const centre = zoomedCentre(plane, view, [100, 80], [10, 70], 11);
    near(toScreen(plane, { centre, scale: 11 }, [100, 80], mm), [10, 70]);
    assert.equal(centre[plane.normal], view.centre[plane.normal]);
  }
});

test("a plane cuts a sphere in a smaller circle", () => {
  assert.equal(cutRadius(5, 3), 4);
  assert.equal(cutRadius(5, -5), 0);
  assert.equal(cutRadius(5, 8), 0);
});
