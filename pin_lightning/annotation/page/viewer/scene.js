// The 3D view: the volume rendered by NiiVue, the landmarks over it.

import { el, svg } from "../dom.js";
import { shrunk } from "../logic/shrink.js";

const SHOWN_MS = 250; // grey values of the rendering follow this long after the planes
const REACH_PX = 16;
const AFTER_MS = 150; // the planes are drawn first

export class Scene {
  raw = null;
  #viewer = null;
  #shown = [];
  #timer = null;
  #pressed = null;
  #loading = Promise.resolve();

  constructor(stage) {
    this.stage = stage;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.drawing = svg("svg", { class: "drawing", role: "presentation" });
    this.note = el("p", { class: "scene-note", hidden: true });
    const on = {
      pointerdown: (event) => this.#down(event),
      pointermove: (event) => this.#turn(event),
      pointerup: (event) => this.#up(event),
      wheel: (event) => this.#wheel(event),
      keydown: (event) => this.#key(event),
    };
    this.touch = el("div", { class: "touch turn", tabindex: "0", role: "application", "aria-label": "3D view", on });
    const large = () => stage.enlarge("scene");
    const title = el("button", { type: "button", class: "title", title: "Large, or all", on: { click: large } }, "3D");
    const holder = el("div", { class: "holder" }, this.canvas);
    this.element = el("section", { class: "pane scene", "aria-label": "3D view" }, holder, this.drawing, this.touch, title, this.note);
    this.watch = new ResizeObserver(() => stage.redraw());
    this.watch.observe(this.element);
  }

  /** Render the bytes of a NIfTI file. */
  show(raw, window) {
    this.raw = raw;
    this.#loading = this.#loading.then(() => this.#load(raw, window)).catch((error) => this.#fail(error));
  }

  async #load(raw, [low, high]) {
    await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
    if (raw !== this.raw) {
      return; // another volume was opened meanwhile
    }
    const { Niivue, NVImage, SLICE_TYPE } = globalThis.niivue;
    if (this.#viewer === null) {
      const options = { sliceType: SLICE_TYPE.RENDER, interactive: false, dragAndDropEnabled: false, loadingText: "", crosshairWidth: 0, show3Dcrosshair: false, isOrientationTextVisible: false, logLevel: "error", backColor: [0.035, 0.047, 0.063, 1] };
      const viewer = new Niivue(options);
      await viewer.attachToCanvas(this.canvas);
      this.#viewer = viewer;
    }
    const image = await NVImage.new(shrunk(raw), "volume.nii", "gray", 1, null, low, high);
    const viewer = this.#viewer;
    viewer.volumes.slice().forEach((one) => viewer.removeVolume(one));
    viewer.addVolume(image);
    viewer.scene.renderAzimuth = 150;
    viewer.scene.renderElevation = 20;
    viewer.scene.volScaleMultiplier = 1.25;
    await viewer.setVolumeRenderIllumination(0.6);
    viewer.drawScene();
    this.stage.redraw();
  }

  #fail() {
    this.#viewer = null;
    this.note.textContent = "This browser draws no 3D view (it needs WebGL 2). The planes work without it.";
    this.note.hidden = false;
  }

  close() {
    this.watch.disconnect();
    clearTimeout(this.#timer);
    this.#viewer?.cleanup?.();
    this.#viewer?.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    this.#viewer = null;
  }

  setWindow([low, high]) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const image = this.#viewer?.volumes[0];
      if (image) {
        Object.assign(image, { cal_min: low, cal_max: high });
        this.#viewer.updateGLVolume();
      }
    }, SHOWN_MS);
  }

  /** Draw the landmarks where the rendering has them. */
  draw({ landmarks, hidden, names }) {
    const { clientWidth, clientHeight } = this.element;
    this.drawing.setAttribute("viewBox", `0 0 ${clientWidth} ${clientHeight}`);
    const marks = hidden || !this.#viewer?.volumes.length ? [] : landmarks.filter((one) => one.view);
    const project = this.#projection(clientWidth, clientHeight);
    this.#shown = project ? marks.map((one) => ({ ...one, at: project(one.view) })) : [];
    this.#shown.sort((one, other) => Number(one.selected) - Number(other.selected));
    this.drawing.replaceChildren(...this.#shown.map((one) => point(one, names)));
  }

  #projection(width, height) {
    if (!this.#viewer?.volumes.length) {
      return null;
    }
    const { renderAzimuth, renderElevation } = this.#viewer.scene;
    const [m] = this.#viewer.calculateMvpMatrix(null, [0, 0, width, height], renderAzimuth, renderElevation);
    const row = (index, [x, y, z]) => m[index] * x + m[index + 4] * y + m[index + 8] * z + m[index + 12];
    return (mm) => [((row(0, mm) + 1) / 2) * width, ((1 - row(1, mm)) / 2) * height];
  }

  #down(event) {
    this.touch.setPointerCapture(event.pointerId);
    this.#pressed = { at: [event.clientX, event.clientY], moved: false };
  }

  #turn(event) {
    if (this.#pressed === null || !this.#viewer) {
      return;
    }
    const by = [event.clientX - this.#pressed.at[0], event.clientY - this.#pressed.at[1]];
    this.#pressed.moved ||= Math.hypot(...by) > 4;
    if (this.#pressed.moved) {
      this.#pressed.at = [event.clientX, event.clientY];
      this.#rotate(by[0] / 2, by[1] / 2);
    }
  }

  #rotate(azimuth, elevation) {
    const { scene } = this.#viewer;
    const up = Math.min(90, Math.max(-90, scene.renderElevation + elevation));
    this.#viewer.setRenderAzimuthElevation(scene.renderAzimuth - azimuth, up);
    this.stage.redraw();
  }

  #up(event) {
    const { left, top } = this.touch.getBoundingClientRect();
    const away = ({ at }) => Math.hypot(at[0] - event.clientX + left, at[1] - event.clientY + top);
    const near = [...this.#shown].sort((one, other) => away(one) - away(other))[0];
    if (this.#pressed && !this.#pressed.moved && near && away(near) <= REACH_PX) {
      this.stage.asks.find(near.name);
    }
    this.#pressed = null;
  }

  #wheel(event) {
    event.preventDefault();
    if (this.#viewer) {
      const scale = this.#viewer.scene.volScaleMultiplier * Math.exp(-event.deltaY * 0.001);
      this.#viewer.setScale(Math.min(Math.max(scale, 0.4), 8));
      this.stage.redraw();
    }
  }

  #key(event) {
    const turns = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
    const turn = turns[event.key];
    if (turn && this.#viewer && !event.shiftKey) {
      event.preventDefault();
      event.stopPropagation();
      this.#rotate(...turn);
    }
  }
}

function point({ name, selected, at: [x, y] }, names) {
  const group = svg("g", { class: `mark${selected ? " selected" : ""}` });
  group.append(svg("circle", { class: "dot", cx: x, cy: y, r: selected ? 5 : 3 }), svg("title", {}, name));
  if (selected || names) {
    group.append(svg("text", { x: x + 9, y: y - 7 }, name));
  }
  return group;
}
