// Affine maps between world RAS+ mm and a view frame in mm. Matrices are 4x4, as rows.

/** A point mapped by an affine. */
export function apply(matrix, point) {
  return [0, 1, 2].map(
    (row) =>
      matrix[row][0] * point[0] +
      matrix[row][1] * point[1] +
      matrix[row][2] * point[2] +
      matrix[row][3],
  );
}

/** The inverse of an affine. */
export function inverse(matrix) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = matrix;
  const cofactors = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0];
  const rows = cofactors.map((row) => {
    const [p, q, r] = row.map((value) => value / determinant);
    return [p, q, r, -(p * x + q * y + r * z)];
  });
  return [...rows, [0, 0, 0, 1]];
}

/** Distance between two points in mm. */
export function distance(one, other) {
  return Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);
}

/** A view frame: maps landmarks of a volume to its mm and back. */
export class Frame {
  constructor({ to_world: toWorld, low_mm: low, extent_mm: extent }) {
    this.matrix = toWorld;
    this.back = inverse(toWorld);
    this.low = low;
    this.extent = extent;
  }

  toWorld(view) {
    return apply(this.matrix, view);
  }

  toView(world) {
    return world === null ? null : apply(this.back, world);
  }
}
