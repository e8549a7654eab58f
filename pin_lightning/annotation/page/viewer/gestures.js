// Mouse, pen and fingers on a plane.

const STILL_PX = { mouse: 3, pen: 5, touch: 9 }; // a press that moves less is a click
const NOTCH = 100; // of the wheel, a slice
const REACH_PX = { mouse: 12, pen: 16, touch: 26 }; // how near a landmark has to be to be taken

/**
 * Calls of `target`: hit(at, reach) -> name or null, take(name), drag(name, by, ended),
 * cancel(), click(at), pan(by), zoom(at, factor), window(by), step(slices). Places and
 * distances are [x, y] in CSS pixels.
 */
export class Gestures {
  #pointers = new Map();
  #mode = null; // {kind: "mark" | "pan" | "window" | "pinch", ...}
  #turned = 0;

  constructor(element, target) {
    this.element = element;
    this.target = target;
    const on = (kind, handler, options) => element.addEventListener(kind, handler, options);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", () => this.cancel());
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** Give up what is going on; a dragged landmark goes back. */
  cancel() {
    if (this.#mode?.kind === "mark") {
      this.target.cancel();
    }
    this.#mode = null;
    this.#pointers.clear();
  }

  get busy() {
    return this.#mode !== null;
  }

  #at(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #down(event) {
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size === 2) {
      this.#pinch();
    } else if (this.#pointers.size === 1) {
      this.#begin(event, at);
    }
  }

  #begin(event, at) {
    const kind = event.pointerType || "mouse";
    const common = { start: at, last: at, moved: false, still: STILL_PX[kind] };
    if (event.button === 2) {
      this.#mode = { kind: "window", ...common };
      return;
    }
    const name = event.button === 0 ? this.target.hit(at, REACH_PX[kind]) : null;
    this.#mode = { kind: name === null ? "pan" : "mark", name, button: event.button, ...common };
    if (name !== null) {
      this.target.take(name);
    }
  }

  #pinch() {
    if (this.#mode?.kind === "mark") {
      this.target.cancel();
    }
    this.#mode = { kind: "pinch", ...this.#spread() };
  }

  #spread() {
    const [[x, y], [u, v]] = [...this.#pointers.values()];
    return { middle: [(x + u) / 2, (y + v) / 2], apart: Math.max(Math.hypot(x - u, y - v), 1) };
  }

  #move(event) {
    if (!this.#pointers.has(event.pointerId) || this.#mode === null) {
      return;
    }
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    if (this.#mode.kind === "pinch") {
      this.#pinched();
    } else {
      this.#drawn(at);
    }
  }

  #pinched() {
    if (this.#pointers.size !== 2) {
      return;
    }
    const { middle, apart } = this.#mode;
    const now = this.#spread();
    this.target.pan([now.middle[0] - middle[0], now.middle[1] - middle[1]]);
    this.target.zoom(now.middle, now.apart / apart);
    Object.assign(this.#mode, now);
  }

  #drawn(at) {
    const mode = this.#mode;
    const whole = [at[0] - mode.start[0], at[1] - mode.start[1]];
    mode.moved ||= Math.hypot(...whole) >= mode.still;
    if (!mode.moved) {
      return;
    }
    const by = [at[0] - mode.last[0], at[1] - mode.last[1]];
    mode.last = at;
    if (mode.kind === "mark") {
      this.target.drag(mode.name, whole, false);
    } else {
      this.target[mode.kind](by);
    }
  }

  #up(event) {
    const mode = this.#mode;
    const known = this.#pointers.delete(event.pointerId);
    if (!known || mode === null || mode.kind === "pinch") {
      this.#mode = this.#pointers.size > 0 ? mode : null;
      return;
    }
    this.#mode = null;
    const at = this.#at(event);
    if (mode.kind === "mark" && mode.moved) {
      this.target.drag(mode.name, [at[0] - mode.start[0], at[1] - mode.start[1]], true);
    } else if (!mode.moved && mode.kind === "pan" && mode.button === 0) {
      this.target.click(at);
    }
  }

  #wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      this.target.zoom(this.#at(event), Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.004)));
      return;
    }
    this.#turned += event.deltaMode ? event.deltaY * 30 : event.deltaY;
    const slices = Math.trunc(this.#turned / NOTCH);
    if (slices !== 0) {
      this.#turned -= slices * NOTCH;
      this.target.step(-Math.sign(slices) * Math.min(Math.abs(slices), 5));
    }
  }
}
