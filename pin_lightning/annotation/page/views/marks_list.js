// The landmarks of a volume: which is selected, its state, and how far it is from the prediction.

import { el, say } from "../dom.js";
import { changeOf, summary } from "../logic/landmarks.js";

const WORDS = {
  same: ["●", "as predicted"],
  moved: ["▲", "moved"],
  placed: ["＋", "placed"],
  missing: ["✕", "missing"],
  open: ["○", "not placed"],
};

/** "moved 0.42 mm", "± 0.31 mm". */
function numbers(one, { kind, mm }) {
  if (kind === "moved") {
    return `${mm.toFixed(2)} mm`;
  }
  return kind === "same" && one.radius_mm ? `± ${one.radius_mm.toFixed(2)}` : "";
}

export class MarksList {
  #rows = new Map();
  #names = "";

  /** @param onSelect called with a name; @param onOrder called with "file" or "doubt" */
  constructor(onSelect, onOrder) {
    this.onSelect = onSelect;
    this.summary = el("p", { class: "summary", role: "status" });
    this.order = el("select", { "aria-label": "Order of the landmarks", on: { change: () => onOrder(this.order.value) } }, el("option", { value: "file" }, "In their order"), el("option", { value: "doubt" }, "Most doubtful first"));
    this.list = el("ul", { class: "marks", "aria-label": "Landmarks" });
    this.element = el("div", { class: "marks-list" }, el("div", { class: "marks-head" }, el("h2", {}, "Landmarks"), this.order), this.list, this.summary);
  }

  draw(workspace) {
    const names = workspace.names;
    if (names.join("\n") !== this.#names) {
      this.#names = names.join("\n");
      this.#rows = new Map(names.map((name) => [name, this.#row(name)]));
      this.list.replaceChildren(...[...this.#rows.values()].map((row) => row.item));
    }
    this.order.value = workspace.order;
    workspace.landmarks.forEach((one) => this.#drawRow(one, one.name === workspace.selected));
    say(this.summary, summary(workspace.landmarks));
  }

  /** Bring the selected landmark into sight. */
  reveal(name) {
    const item = this.#rows.get(name)?.item;
    if (item) {
      const { offsetTop: top, offsetHeight: height } = item;
      const { scrollTop, clientHeight } = this.list;
      this.list.scrollTop = Math.min(top, Math.max(scrollTop, top + height - clientHeight)); // never the page, as scrollIntoView
    }
  }

  #row(name) {
    const parts = { mark: el("span", { class: "sign", "aria-hidden": "true" }), words: el("span", { class: "hidden-words" }), mm: el("span", { class: "mm" }) };
    const press = el("button", { type: "button", dataset: { name }, on: { click: () => this.onSelect(name) } }, parts.mark, el("span", { class: "name" }, name), parts.words, parts.mm);
    return { ...parts, press, item: el("li", {}, press) };
  }

  #drawRow(one, selected) {
    const row = this.#rows.get(one.name);
    const change = changeOf(one);
    const [sign, words] = WORDS[change.kind];
    say(row.mark, sign);
    say(row.words, ` ${words} `);
    say(row.mm, numbers(one, change));
    row.press.className = change.kind;
    row.press.title = `${one.name}: ${words}`;
    row.press.setAttribute("aria-current", String(selected));
  }
}
