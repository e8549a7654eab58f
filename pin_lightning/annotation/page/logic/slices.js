// Slices of an image along its axes, interpolated along the normal, as grey values.

/** Corners of the box that an image fills, in mm: from the outer faces of its outer voxels. */
export function box(image) {
  const low = image.origin.map((value, axis) => value - image.spacing[axis] / 2);
  const high = low.map((value, axis) => value + image.spacing[axis] * image.dims[axis]);
  return { low, high };
}

/** Whether a slice at `mm` along an axis meets the image. */
export function meets(image, axis, mm) {
  const { low, high } = box(image);
  return mm >= low[axis] && mm <= high[axis];
}

/** The slices on both sides of `mm`, and the share of the second one. */
function neighbours(image, axis, mm) {
  const last = image.dims[axis] - 1;
  const index = Math.min(Math.max((mm - image.origin[axis]) / image.spacing[axis], 0), last);
  const first = Math.min(Math.floor(index), Math.max(last - 1, 0));
  return [first, Math.min(first + 1, last), index - first];
}

/**
 * A slice as opaque grey RGBA bytes; pixel (column, row) is voxel (across, up).
 * @param image of readNifti
 * @param plane of PLANES
 * @param mm position along the normal
 * @param window [low, high] intensities that become black and white
 * @param pixels Uint8ClampedArray of 4 bytes a pixel, which is filled
 */
export function fillSlice(image, plane, mm, [low, high], pixels) {
  const { dims, data, slope, inter } = image;
  const strides = [1, dims[0], dims[0] * dims[1]];
  const [first, second, share] = neighbours(image, plane.normal, mm);
  const gain = (255 * slope) / Math.max(high - low, 1e-9);
  const offset = (255 * (inter - low)) / Math.max(high - low, 1e-9);
  const step = strides[plane.across];
  const beside = (second - first) * strides[plane.normal];
  let pixel = 0;
  for (let up = 0; up < dims[plane.up]; up++) {
    let voxel = first * strides[plane.normal] + up * strides[plane.up];
    for (let across = 0; across < dims[plane.across]; across++, voxel += step, pixel += 4) {
      const value = data[voxel] * (1 - share) + data[voxel + beside] * share;
      const grey = value * gain + offset;
      pixels[pixel] = pixels[pixel + 1] = pixels[pixel + 2] = grey;
      pixels[pixel + 3] = 255;
    }
  }
}
