// One plane: the picture, the landmarks over it, and what the mouse does there.

import { el, say, svg } from "../dom.js";
import { toMm, toScreen, zoomedCentre } from "../logic/planes.js";
import { Gestures } from "./gestures.js";
import { cross, landmark, letters, prediction, scaleBar, shownIn } from "./marks.js";
import { Picture } from "./picture.js";

export class Pane {
  #size = [1, 1];
  #grabbed = null; // the place in mm where a drag began

  /**
   * @param plane of PLANES
   * @param stage has `view`, and what a plane asks for: changed(view), select(name), dragged(name,
   *     mm, ended), dropped(), clicked(mm), windowed(by), used(plane), enlarge(plane)
   */
  constructor(plane, stage) {
    this.plane = plane;
    this.stage = stage;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.drawing = svg("svg", { class: "drawing", role: "presentation" });
    this.place = el("span", { class: "depth" });
    this.slider = el("input", {
      type: "range",
      class: "slider",
      "aria-label": `${plane.title} slice, mm`,
      on: { input: () => this.#moveTo(Number(this.slider.value)) },
    });
    this.touch = el("div", { class: "touch", tabindex: "0", role: "application", "aria-label": `${plane.title} plane` });
    const large = () => stage.enlarge(plane.key);
    const title = el("button", { type: "button", class: "title", title: "Large, or all", on: { click: large } }, plane.title);
    this.element = el("section", { class: `pane ${plane.key}`, "aria-label": plane.title }, this.canvas, this.drawing, this.touch, title, this.place, this.slider);
    this.gestures = new Gestures(this.touch, this);
    this.touch.addEventListener("pointerdown", () => stage.used(plane));
    this.touch.addEventListener("focus", () => stage.used(plane));
    this.watch = new ResizeObserver(() => this.#measure());
    this.watch.observe(this.element);
    this.picture = new Picture(this.canvas, plane);
  }

  get size() {
    return this.#size;
  }

  close() {
    this.watch.disconnect();
  }

  /** Draw with {images, window, landmarks, hidden, names, withLetters, depths}. */
  draw(scene) {
    const { plane, stage } = this;
    const size = this.#size;
    this.picture.draw(scene.images, stage.view, size, scene.window);
    this.shown = scene.hidden ? [] : shownIn(plane, stage.view, size, scene.landmarks);
    const selected = scene.hidden ? undefined : scene.landmarks.find((one) => one.selected);
    const parts = [scaleBar(stage.view, size)];
    if (!scene.hidden) {
      parts.push(cross(plane, stage.view, size));
    }
    if (scene.withLetters) {
      parts.push(letters(plane, size));
    }
    if (selected?.predictedView && selected.changed) {
      parts.push(prediction(plane, stage.view, size, selected));
    }
    parts.push(...this.shown.map((one) => landmark(plane, stage.view, one, scene.names)));
    this.drawing.replaceChildren(...parts);
    this.touch.classList.toggle("placing", scene.placing);
    this.#sayDepth(scene.depths);
  }

  #sayDepth([low, high, step]) {
    const depth = this.stage.view.cursor[this.plane.normal];
    Object.assign(this.slider, { min: low, max: high, step: step / 4, value: depth });
    say(this.place, `${depth.toFixed(2)} mm`);
  }

  #measure() {
    const { clientWidth, clientHeight } = this.element;
    this.#size = [Math.max(clientWidth, 1), Math.max(clientHeight, 1)];
    this.drawing.setAttribute("viewBox", `0 0 ${this.#size[0]} ${this.#size[1]}`);
    this.stage.resized();
  }

  #moveTo(depth) {
    const cursor = [...this.stage.view.cursor];
    cursor[this.plane.normal] = depth;
    this.stage.changed({ cursor });
  }

  // What gestures ask for.

  hit(at, reach) {
    this.stage.settle();
    const away = (one) => Math.hypot(one.at[0] - at[0], one.at[1] - at[1]);
    const near = (this.shown ?? []).filter((one) => away(one) <= reach);
    near.sort((one, other) => away(one) - away(other));
    return (near.find((one) => one.selected) ?? near[0])?.name ?? null;
  }

  take(name) {
    this.#grabbed = this.shown.find((one) => one.name === name).view;
    this.stage.select(name);
  }

  /** A landmark goes as far as the pointer did; its depth stays. */
  drag(name, by, ended) {
    const { plane, stage } = this;
    const [x, y] = toScreen(plane, stage.view, this.#size, this.#grabbed);
    const pixel = [x + by[0], y + by[1]];
    const mm = toMm(plane, stage.view, this.#size, pixel, this.#grabbed[plane.normal]);
    stage.dragged(name, mm, ended);
  }

  cancel() {
    this.stage.dropped();
  }

  click(at) {
    const { plane, stage } = this;
    stage.clicked(toMm(plane, stage.view, this.#size, at, stage.view.cursor[plane.normal]));
  }

  pan([x, y]) {
    const { view } = this.stage;
    const centre = [...view.centre];
    centre[this.plane.across] += x / view.scale;
    centre[this.plane.up] += y / view.scale;
    this.stage.changed({ centre });
  }

  zoom(at, factor) {
    const { view } = this.stage;
    const scale = view.bounded(view.scale * factor);
    this.stage.changed({ centre: zoomedCentre(this.plane, view, this.#size, at, scale), scale });
  }

  window(by) {
    this.stage.windowed(by);
  }

  step(slices) {
    this.stage.changed({ cursor: this.stage.view.stepped(this.plane, slices) });
  }
}
