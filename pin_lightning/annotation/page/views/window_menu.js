// Window and level: the intensities that are black and white.

import { button, el } from "../dom.js";

export class WindowMenu {
  #range = [0, 1];

  /** @param onChange called with [low, high]; @param onReset called for those of the server */
  constructor(onChange, onReset) {
    const change = () => onChange(this.#ordered());
    const input = (text) => el("input", { type: "range", step: "any", "aria-label": text, on: { input: change } });
    [this.low, this.high] = [input("Black at"), input("White at")];
    [this.lowText, this.highText] = [el("output"), el("output")];
    const row = (title, slider, text) => el("label", {}, el("span", {}, title, " ", text), slider);
    const panel = el("div", { class: "menu-panel" }, row("Black at", this.low, this.lowText), row("White at", this.high, this.highText), button("As at first", onReset, { key: "W" }));
    this.element = el("details", { class: "menu" }, el("summary", {}, "Grey values"), panel);
  }

  #ordered() {
    const [low, high] = [Number(this.low.value), Number(this.high.value)];
    return low < high ? [low, high] : [high, low + 1e-6];
  }

  draw([low, high], [least, most]) {
    this.#range = [Math.min(least, low), Math.max(most, high)];
    for (const slider of [this.low, this.high]) {
      [slider.min, slider.max] = this.#range;
    }
    [this.low.value, this.high.value] = [low, high];
    [this.lowText.textContent, this.highText.textContent] = [low, high].map((one) => Number(one.toPrecision(4)));
  }
}
