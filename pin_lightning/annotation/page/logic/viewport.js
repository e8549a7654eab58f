// What the planes of a volume show: centre and crossing point in mm, and pixels per mm.

const CLOSE_VOXELS = 110; // across a plane that shows a landmark up close
const STRONGEST = 60; // pixels per finest voxel
const MARGIN = 0.94; // of a plane that a whole volume fills

export class Viewport {
  centre = [0, 0, 0];
  cursor = [0, 0, 0];
  scale = 1;
  #low = [-1, -1, -1];
  #extent = [2, 2, 2];
  #fit = null; // how the view was fitted, until a person changes it

  /** @param sizes gives the planes and the size of each in pixels: [[plane, [width, height]], ...] */
  constructor(sizes) {
    this.sizes = sizes;
    this.finest = 1;
  }

  /** Show another volume, or frame: its box, and its finest spacing in mm. */
  begin(low, extent, finest) {
    this.#low = low;
    this.#extent = extent;
    this.finest = finest;
    this.whole();
    this.cursor = this.middle;
  }

  get middle() {
    return this.#low.map((value, axis) => value + this.#extent[axis] / 2);
  }

  /** Range of the slices along an axis. */
  depths(axis) {
    return [this.#low[axis], this.#low[axis] + this.#extent[axis], this.finest];
  }

  /** Everything. */
  whole() {
    this.#fitted(() => ({ centre: this.middle, scale: this.#wholeScale() }));
  }

  /** A point in mm up close; a landmark with its radius. */
  near(mm, radius = 0) {
    const across = Math.max(CLOSE_VOXELS * this.finest, 5 * radius);
    this.cursor = mm;
    this.#fitted(() => {
      const side = Math.min(...this.sizes().flatMap(([, size]) => size));
      return { centre: mm, scale: this.bounded(Math.max(side / across, this.#wholeScale())) };
    });
  }

  /** A point in mm at the present scale. */
  goTo(mm) {
    this.change({ centre: mm, cursor: mm });
  }

  /** Change centre, crossing point or scale; where it was fitted, it stays so with the crossing point alone. */
  change(change) {
    if (change.centre !== undefined || change.scale !== undefined) {
      this.#fit = null;
    }
    Object.assign(this, change);
  }

  zoomBy(factor) {
    this.change({ scale: this.bounded(this.scale * factor) });
  }

  /** Fit again: planes have another size. */
  resized() {
    Object.assign(this, this.#fit?.());
  }

  bounded(scale) {
    return Math.min(Math.max(scale, this.#wholeScale() / 2), STRONGEST / this.finest);
  }

  /** The crossing point some slices further along a plane's normal. */
  stepped(plane, slices) {
    return this.cursor.map((value, axis) => value + (axis === plane.normal ? slices * this.finest : 0));
  }

  /** A point moved within a plane, right and up as it is drawn, in voxels. */
  nudged(plane, mm, right, up) {
    const moved = [...mm];
    moved[plane.across] -= right * this.finest;
    moved[plane.up] += up * this.finest;
    return moved;
  }

  #fitted(fit) {
    Object.assign(this, fit());
    this.#fit = fit;
  }

  #wholeScale() {
    const fits = this.sizes().map(([plane, size]) =>
      Math.min(size[0] / this.#extent[plane.across], size[1] / this.#extent[plane.up]),
    );
    return MARGIN * Math.min(...fits);
  }
}
