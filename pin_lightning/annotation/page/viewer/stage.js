// Three planes and the 3D view of a volume in a view frame, which share centre, place and scale.

import { el } from "../dom.js";
import { PLANES } from "../logic/planes.js";
import { box } from "../logic/slices.js";
import { Images } from "./images.js";
import { Pane } from "./pane.js";
import { Scene } from "./scene.js";

const CLOSE_VOXELS = 110; // across a plane that shows a landmark up close
const STRONGEST = 60; // pixels per finest voxel

export class Stage {
  view = { centre: [0, 0, 0], cursor: [0, 0, 0], scale: 1 };
  window = [0, 1];
  landmarks = [];
  frame = null;
  images = null;
  hidden = false;
  names = false;
  placing = false;
  #due = false;
  #fit = null; // how the view was fitted, until a person changes it
  #lastUsed = PLANES[0];

  /** @param asks {select(name), dragged(name, mm, ended), dropped(), clicked(mm), windowed()} */
  constructor(asks) {
    this.asks = asks;
    this.panes = PLANES.map((plane) => new Pane(plane, this));
    this.scene = new Scene(this);
    const [axial, coronal, sagittal] = this.panes;
    const views = [axial, sagittal, coronal, this.scene].map((one) => one.element);
    this.note = el("p", { class: "stage-note", role: "status", hidden: true });
    this.element = el("div", { class: "stage" }, views, this.note);
  }

  /** Show a volume in a frame. */
  open(id, frameName, frame, spacing, window) {
    this.images?.close();
    this.frame = frame;
    this.window = [...window];
    this.tell("Loading the volume …");
    this.images = new Images({ id, frame: frameName, spacing, changed: () => this.#arrived() });
    this.withLetters = frameName === "scanner";
    this.images.load();
    this.redraw();
  }

  /** Show a text instead of a volume. */
  blank(text) {
    this.images?.close();
    this.images = null;
    this.landmarks = [];
    this.tell(text);
    this.redraw();
  }

  close() {
    this.images?.close();
    this.panes.forEach((one) => one.close());
    this.scene.close();
  }

  tell(text) {
    this.note.textContent = text;
    this.note.hidden = text === "";
  }

  #arrived() {
    this.tell(this.images.problem && `The image could not be shown: ${this.images.problem}`);
    if (this.images.raw && this.images.overview && this.scene.raw !== this.images.raw) {
      this.scene.show(this.images.raw, this.window);
    }
    this.#refit();
    this.asks.arrived();
    this.redraw();
  }

  // The view.

  /** Pixels of the shorter side of a plane. */
  get #side() {
    return Math.min(...this.panes[0].size);
  }

  get finest() {
    return this.images?.finest ?? 1;
  }

  stepOf() {
    return this.finest;
  }

  bounded(scale) {
    const least = this.#wholeScale() / 2;
    return Math.min(Math.max(scale, least), STRONGEST / this.finest);
  }

  #wholeScale() {
    const extent = this.frame?.extent ?? [1, 1, 1];
    const fits = this.panes.map(({ plane, size }) =>
      Math.min(size[0] / extent[plane.across], size[1] / extent[plane.up]),
    );
    return 0.94 * Math.min(...fits);
  }

  /** Everything. */
  whole() {
    this.#fitted(() => ({ centre: this.middle(), scale: this.#wholeScale() }));
  }

  /** The middle of the volume in mm. */
  middle() {
    if (!this.images?.overview) {
      return this.view.cursor;
    }
    const { low, high } = box(this.images.overview);
    return low.map((value, axis) => (value + high[axis]) / 2);
  }

  /** A point in mm up close. */
  near(mm, radius = 0) {
    const across = Math.max(CLOSE_VOXELS * this.finest, 5 * radius);
    this.changed({ cursor: mm });
    this.#fitted(() => {
      const scale = Math.max(this.#side / across, this.#wholeScale());
      return { centre: mm, scale: this.bounded(scale) };
    });
  }

  /** Fit the view, again when sizes are known and the image has arrived. */
  #fitted(fit) {
    this.changed(fit());
    this.#fit = fit;
  }

  #refit() {
    if (this.#fit) {
      Object.assign(this.view, this.#fit());
    }
  }

  /** A point in mm at the present scale. */
  goTo(mm) {
    this.changed({ centre: mm, cursor: mm });
  }

  zoomBy(factor) {
    this.changed({ scale: this.bounded(this.view.scale * factor) });
  }

  /** Slices of the plane that was used last. */
  stepBy(slices) {
    const cursor = [...this.view.cursor];
    cursor[this.#lastUsed.normal] += slices * this.finest;
    this.changed({ cursor });
  }

  /** A point moved within the plane that was used last, right and up as it is drawn, in voxels. */
  nudged(mm, right, up) {
    const moved = [...mm];
    moved[this.#lastUsed.across] -= right * this.finest;
    moved[this.#lastUsed.up] += up * this.finest;
    return moved;
  }

  changed(change) {
    const moved = change.centre !== undefined || change.scale !== undefined;
    this.#fit = moved ? null : this.#fit;
    Object.assign(this.view, change);
    this.redraw();
  }

  resized() {
    this.#refit();
    this.redraw();
  }

  used(plane) {
    this.#lastUsed = plane;
    this.panes.forEach((one) => one.element.classList.toggle("used", one.plane === plane));
  }

  enlarge(key) {
    const same = this.element.dataset.large === key;
    this.element.dataset.large = same ? "" : key;
  }

  /** Give up a drag. */
  cancel() {
    const busy = this.panes.filter((one) => one.gestures.busy);
    busy.forEach((one) => one.gestures.cancel());
    return busy.length > 0;
  }

  // Asked for by planes.

  select(name) {
    this.asks.select(name);
  }

  dragged(name, mm, ended) {
    this.asks.dragged(name, mm, ended);
  }

  dropped() {
    this.asks.dropped();
  }

  clicked(mm) {
    this.asks.clicked(mm);
  }

  windowed([x, y]) {
    const [low, high] = this.window;
    const width = Math.max((high - low) * Math.exp(x / 200), 1e-6);
    const level = (low + high) / 2 + (y * (high - low)) / 300;
    this.setWindow([level - width / 2, level + width / 2]);
    this.asks.windowed();
  }

  setWindow(window) {
    this.window = window;
    this.scene.setWindow(window);
    this.redraw();
  }

  // Drawing, once a frame at most.

  redraw() {
    if (!this.#due) {
      this.#due = true;
      requestAnimationFrame(() => {
        this.#due = false;
        this.#draw();
      });
    }
  }

  #draw() {
    const { overview } = this.images ?? {};
    const isClose = overview && this.view.scale * Math.max(...overview.spacing) > 1;
    if (isClose) {
      this.images.want(this.view.cursor);
    }
    const cube = isClose ? this.images.cubeAt(this.view.cursor) : null;
    const common = { images: [overview ?? null, cube], ...this.#marks() };
    this.panes.forEach((pane) => pane.draw({ ...common, depths: this.#depths(pane.plane) }));
    this.scene.draw(common);
    const sharp = Boolean(overview) && (!this.images.coarse || cube !== null);
    this.element.dataset.sharp = String(sharp);
  }

  #marks() {
    const { window, landmarks, hidden, names, withLetters, placing } = this;
    return { window, landmarks, hidden, names, withLetters, placing };
  }

  #depths({ normal }) {
    const { overview } = this.images ?? {};
    const { low, high } = overview ? box(overview) : { low: [-1, -1, -1], high: [1, 1, 1] };
    return [low[normal], high[normal], this.finest];
  }
}
