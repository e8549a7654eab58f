// The three planes of a view: which axes they show, and where a point in mm lies on the screen.
// As in 3D Slicer: right is on the left, and in the sagittal plane the front is on the left.

export const PLANES = [
  { key: "axial", title: "Axial", normal: 2, across: 0, up: 1, letters: "RLAP" },
  { key: "coronal", title: "Coronal", normal: 1, across: 0, up: 2, letters: "RLSI" },
  { key: "sagittal", title: "Sagittal", normal: 0, across: 1, up: 2, letters: "APSI" },
];

/**
 * Where a point is drawn.
 * @param plane one of PLANES
 * @param view {centre: mm in the middle of the plane, scale: pixels per mm}
 * @param size [width, height] of the plane in pixels
 * @param mm point in mm of the view frame
 * @returns [x, y] in pixels from the top left corner
 */
export function toScreen(plane, view, size, mm) {
  return [
    size[0] / 2 - (mm[plane.across] - view.centre[plane.across]) * view.scale,
    size[1] / 2 - (mm[plane.up] - view.centre[plane.up]) * view.scale,
  ];
}

/** The point in mm under a pixel, at `depth` mm along the normal of the plane. */
export function toMm(plane, view, size, [x, y], depth) {
  const mm = [0, 0, 0];
  mm[plane.across] = view.centre[plane.across] - (x - size[0] / 2) / view.scale;
  mm[plane.up] = view.centre[plane.up] - (y - size[1] / 2) / view.scale;
  mm[plane.normal] = depth;
  return mm;
}

/** The centre after which the point under a pixel stays there at another scale. */
export function zoomedCentre(plane, view, size, pixel, scale) {
  const fixed = toMm(plane, view, size, pixel, view.centre[plane.normal]);
  return view.centre.map((value, axis) =>
    axis === plane.normal ? value : fixed[axis] + ((value - fixed[axis]) * view.scale) / scale,
  );
}

/** Radius in mm of the circle in which a plane cuts a sphere, 0 where it does not. */
export function cutRadius(radius, depth) {
  return Math.abs(depth) < radius ? Math.sqrt(radius * radius - depth * depth) : 0;
}
