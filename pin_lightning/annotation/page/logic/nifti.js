// Reads the images that the server sends: NIfTI-1, one file, a diagonal positive affine in mm.

const ARRAYS = new Map([
  [2, Uint8Array],
  [4, Int16Array],
  [8, Int32Array],
  [16, Float32Array],
  [256, Int8Array],
  [512, Uint16Array],
]);

/**
 * @param buffer ArrayBuffer of a whole file
 * @returns {dims, spacing, origin: mm of the centre of the first voxel, data, slope, inter}
 */
export function readNifti(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 352 || view.getInt32(0, true) !== 348) {
    throw new Error("The image is not NIfTI-1.");
  }
  const type = ARRAYS.get(view.getInt16(70, true));
  if (!type) {
    throw new Error(`The image has voxels of an unknown type (${view.getInt16(70, true)}).`);
  }
  const dims = [0, 1, 2].map((axis) => view.getInt16(42 + 2 * axis, true));
  const rows = [0, 1, 2].map((axis) => 280 + 16 * axis);
  const count = dims[0] * dims[1] * dims[2];
  const start = view.getFloat32(108, true);
  const bytes = buffer.slice(start, start + count * type.BYTES_PER_ELEMENT);
  return {
    dims,
    spacing: rows.map((row, axis) => view.getFloat32(row + 4 * axis, true)),
    origin: rows.map((row) => view.getFloat32(row + 12, true)),
    data: new type(bytes),
    slope: view.getFloat32(112, true) || 1,
    inter: view.getFloat32(116, true) || 0,
  };
}
