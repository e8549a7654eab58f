import assert from "node:assert/strict";
import { test } from "node:test";

import { readNifti } from "../../../../pin_lightning/annotation/page/logic/nifti.js";
import { PLANES } from "../../../../pin_lightning/annotation/page/logic/planes.js";
import { halved, shrunk } from "../../../../pin_lightning/annotation/page/logic/shrink.js";
import { box, fillSlice, meets } from "../../../../pin_lightning/annotation/page/logic/slices.js";

/** A file of 2 x 3 x 4 voxels, whose values are their indices, of 16 bits. */
function file() {
  const buffer = new ArrayBuffer(352 + 2 * 24);
  const view = new DataView(buffer);
  view.setInt32(0, 348, true);
  [3, 2, 3, 4].forEach((value, index) => view.setInt16(40 + 2 * index, value, true));
  view.setInt16(70, 4, true);
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 2, true);
  view.setFloat32(116, 10, true);
  [0.5, 1, 2].forEach((value, axis) => view.setFloat32(280 + 20 * axis, value, true));
  [-1, -2, -3].forEach((value, axis) => view.setFloat32(292 + 16 * axis, value, true));
  new Int16Array(buffer, 352).set([...Array(24).keys()]);
  return buffer;
}

test("a file is read with its spacing, origin and intensities", () => {
  const image = readNifti(file());
  assert.deepEqual(image.dims, [2, 3, 4]);
  assert.deepEqual(image.spacing, [0.5, 1, 2]);
  assert.deepEqual(image.origin, [-1, -2, -3]);
  assert.deepEqual([image.slope, image.inter, image.data[23]], [2, 10, 23]);
  assert.deepEqual(box(image), { low: [-1.25, -2.5, -4], high: [-0.25, 0.5, 4] });
  assert.ok(meets(image, 2, 4) && !meets(image, 2, 4.1));
  assert.throws(() => readNifti(new ArrayBuffer(400)), /not NIfTI-1/);
});

test("a slice between two slices is their mean, within the window", () => {
  const image = readNifti(file());
  const pixels = new Uint8ClampedArray(4 * 6);
  fillSlice(image, PLANES[0], -2, [10, 10 + 255], pixels); // half way between k = 0 and 1
  assert.deepEqual([...pixels.slice(0, 8)], [6, 6, 6, 255, 8, 8, 8, 255]);
  fillSlice(image, PLANES[0], -99, [10, 12], pixels); // before the first one; 255 is the most
  assert.deepEqual([pixels[0], pixels[4], pixels[8]], [0, 255, 255]);
});

test("each plane shows its own axes", () => {
  const image = readNifti(file());
  const sagittal = new Uint8ClampedArray(4 * 12);
  fillSlice(image, PLANES[2], -0.5, [10, 10 + 510], sagittal); // i = 1: voxels 1, 3, 5, 7...
  assert.deepEqual([sagittal[0], sagittal[4], sagittal[12]], [1, 3, 7]);
  const coronal = new Uint8ClampedArray(4 * 8);
  fillSlice(image, PLANES[1], 0, [10, 10 + 510], coronal); // j = 2: voxels 4, 5, 10, 11...
  assert.deepEqual([coronal[0], coronal[4], coronal[8]], [4, 5, 10]);
});

test("at half the resolution a voxel is the mean of eight, in their middle", () => {
  const image = readNifti(halved(file()));
  assert.deepEqual([image.dims, image.spacing], [[1, 1, 2], [1, 2, 4]]);
  assert.deepEqual(image.origin, [-0.75, -1.5, -2]);
  assert.deepEqual([...image.data], [4, 16]); // mean of 0 to 3 and 6 to 9 is 4.5
  assert.equal(shrunk(file()).byteLength, file().byteLength);
});
