// A volume at half its resolution, for the 3D view: a small picture, drawn by software on some machines.

import { readNifti } from "./nifti.js";

const MOST_VOXELS = 5e6;
const HEADER = 352;

/** The bytes of a NIfTI file as they are, or each voxel the mean of eight where there are many. */
export function shrunk(buffer) {
  const image = readNifti(buffer);
  const [x, y, z] = image.dims;
  return x * y * z <= MOST_VOXELS || Math.min(x, y, z) < 2 ? buffer : halved(buffer, image);
}

/** Half the resolution; an odd last slice is left out. */
export function halved(buffer, image = readNifti(buffer)) {
  const dims = image.dims.map((count) => count >> 1);
  const { BYTES_PER_ELEMENT: bytes } = image.data.constructor;
  const made = new ArrayBuffer(HEADER + dims[0] * dims[1] * dims[2] * bytes);
  new Uint8Array(made).set(new Uint8Array(buffer, 0, HEADER));
  describe(new DataView(made), dims, image);
  average(image, dims, new image.data.constructor(made, HEADER));
  return made;
}

function describe(header, dims, { spacing, origin }) {
  header.setFloat32(108, HEADER, true);
  dims.forEach((count, axis) => {
    header.setInt16(42 + 2 * axis, count, true);
    header.setFloat32(80 + 4 * axis, 2 * spacing[axis], true);
    header.setFloat32(268 + 4 * axis, origin[axis] + spacing[axis] / 2, true);
    header.setFloat32(280 + 20 * axis, 2 * spacing[axis], true);
    header.setFloat32(292 + 16 * axis, origin[axis] + spacing[axis] / 2, true);
  });
}

function average({ dims: [x, y], data }, [width, height, depth], made) {
  const slice = x * y;
  let voxel = 0;
  for (let k = 0; k < depth; k++) {
    for (let j = 0; j < height; j++) {
      let from = 2 * (k * slice + j * x);
      for (let i = 0; i < width; i++, from += 2) {
        const below = data[from] + data[from + 1] + data[from + x] + data[from + x + 1];
        const to = from + slice;
        const above = data[to] + data[to + 1] + data[to + x] + data[to + x + 1];
        made[voxel++] = (below + above) / 8;
      }
    }
  }
}
