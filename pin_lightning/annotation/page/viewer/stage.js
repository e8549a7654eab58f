// Three planes and the 3D view of a volume in a view frame, which share centre, place and scale.

import { el } from "../dom.js";
import { PLANES } from "../logic/planes.js";
import { Viewport } from "../logic/viewport.js";
import { Images } from "./images.js";
import { Pane } from "./pane.js";
import { Scene } from "./scene.js";

export class Stage {
  window = [0, 1];
  landmarks = [];
  frame = null;
  images = null;
  hidden = false;
  names = false;
  placing = false;
  #due = false;
  #lastUsed = PLANES[0];

  /** @param asks {select(name), dragged(name, mm, ended), dropped(), clicked(mm), windowed()} */
  constructor(asks) {
    this.asks = asks;
    this.view = new Viewport(() => this.panes.map(({ plane, size }) => [plane, size]));
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
    this.view.begin(frame.low, frame.extent, Math.min(...spacing));
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
    this.asks.arrived();
    this.redraw();
  }

  // The view.

  changed(change) {
    this.view.change(change);
    this.redraw();
  }

  /** Change the view by one of its methods. */
  show(method, ...values) {
    this.view[method](...values);
    this.redraw();
  }

  resized() {
    this.show("resized");
  }

  /** Slices of the plane that was used last. */
  stepBy(slices) {
    this.changed({ cursor: this.view.stepped(this.#lastUsed, slices) });
  }

  /** A point moved within the plane that was used last, in voxels. */
  nudged(mm, right, up) {
    return this.view.nudged(this.#lastUsed, mm, right, up);
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
      requestAnimationFrame(() => this.settle());
    }
  }

  /** Draw now what is due: a press has to meet what there is, not what was drawn before. */
  settle() {
    if (this.#due) {
      this.#due = false;
      this.#draw();
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
    this.panes.forEach((pane) => pane.draw({ ...common, depths: this.view.depths(pane.plane.normal) }));
    this.scene.draw(common);
    const sharp = Boolean(overview) && (!this.images.coarse || cube !== null);
    this.element.dataset.sharp = String(sharp);
  }

  #marks() {
    const { window, landmarks, hidden, names, withLetters, placing } = this;
    return { window, landmarks, hidden, names, withLetters, placing };
  }
}
