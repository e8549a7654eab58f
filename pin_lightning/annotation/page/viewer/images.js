// Images of a volume in a view frame: the whole one, and cubes at full resolution around landmarks.

import * as api from "../api.js";
import { distance } from "../logic/frames.js";
import { readNifti } from "../logic/nifti.js";
import { box } from "../logic/slices.js";

const KEPT = 10; // cubes
const CUBE_VOXELS = 128;
const WAIT_MS = 120; // before a cube is asked for, while landmarks are stepped through

/** Images of one volume in one frame. `changed` is called when one has arrived. */
export class Images {
  overview = null;
  raw = null; // bytes of the overview, for the 3D view
  problem = "";
  #cubes = [];
  #timer = null;
  #wanted = null;
  #closed = false;

  constructor({ id, frame, spacing, changed }) {
    Object.assign(this, { id, frame, spacing, changed });
    this.finest = Math.min(...spacing);
    this.side = CUBE_VOXELS * this.finest;
  }

  async load() {
    try {
      this.raw = await api.image(this.id, this.frame);
      this.overview = readNifti(this.raw);
    } catch (error) {
      this.problem = error.message;
    }
    if (!this.#closed) {
      this.changed();
    }
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Whether the overview is coarser than the scan. */
  get coarse() {
    return this.overview !== null && Math.max(...this.overview.spacing) > 1.05 * this.finest;
  }

  /** The cube that holds a point best, null without one. */
  cubeAt(mm) {
    const near = this.#cubes.filter((one) => one.image && distance(one.centre, mm) < this.side / 3);
    near.sort((one, other) => distance(one.centre, mm) - distance(other.centre, mm));
    return near[0]?.image ?? null;
  }

  /** Ask for the cube around a point, soon, unless there is one. */
  want(mm) {
    clearTimeout(this.#timer);
    const about = (one) => distance(one.centre, mm) < this.side / 6;
    if (this.coarse && !this.#cubes.some(about) && this.#isInside(mm)) {
      this.#timer = setTimeout(() => this.#fetch(mm), WAIT_MS);
    }
  }

  #isInside(mm) {
    const { low, high } = box(this.overview);
    return mm.every((value, axis) => value >= low[axis] && value <= high[axis]);
  }

  async #fetch(mm) {
    const cube = { centre: mm, image: null };
    this.#cubes = [cube, ...this.#cubes].slice(0, KEPT);
    try {
      cube.image = readNifti(await api.detail(this.id, this.frame, mm, this.side));
    } catch {
      this.#cubes = this.#cubes.filter((one) => one !== cube); // the overview is shown instead
    }
    if (!this.#closed) {
      this.changed();
    }
  }
}

/** Least and greatest intensity of an image, from a part of its voxels. */
export function range({ data, slope, inter }) {
  const step = Math.max(1, Math.floor(data.length / 100_000));
  let [low, high] = [Infinity, -Infinity];
  for (let voxel = 0; voxel < data.length; voxel += step) {
    low = Math.min(low, data[voxel]);
    high = Math.max(high, data[voxel]);
  }
  return [low * slope + inter, high * slope + inter];
}
