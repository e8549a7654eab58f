// The volumes, the most doubtful first, with progress, filters, and what else can be done.

import * as api from "../api.js";
import { button, el, say } from "../dom.js";
import { FILTERS, STATES, chosen, nextToDo, progressText } from "../logic/volumes.js";
import { ContradictionsPanel } from "./contradictions.js";
import { doubtText } from "./doubts.js";
import { NamesPanel } from "./names.js";
import { TrainingPanel } from "./training.js";

const AT_ONCE = 200;
const DOUBTS_SHOWN = 3;

/** The state of a volume as a sign and a word. */
export function chip(state) {
  const { title, mark } = STATES[state] ?? { title: state, mark: "?" };
  return el("span", { class: `chip ${state}` }, el("span", { "aria-hidden": "true" }, mark), ` ${title}`);
}

function doubtsOf(volume) {
  const link = (name) => el("a", { href: `#/volume/${volume.id}/${encodeURIComponent(name)}` }, name);
  const more = volume.doubts.length - DOUBTS_SHOWN;
  const shown = volume.doubts.slice(0, DOUBTS_SHOWN).map((one) => el("li", {}, doubtText(one, link)));
  return el("ul", { class: "doubts" }, shown, more > 0 && el("li", {}, `and ${more} more`));
}

export class ListView {
  #most = AT_ONCE;

  constructor(app) {
    this.app = app;
    this.title = el("h1", {});
    this.run = el("p", { class: "eyebrow" });
    this.progress = el("p", { class: "progress-text", role: "status" });
    this.meter = el("progress", { max: 1, value: 0, "aria-label": "Share of volumes that are done" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.advice = el("p", { class: "advice", hidden: true });
    this.unsaved = el("div", { class: "unsaved", hidden: true });
    this.next = button("Open the most doubtful", () => this.#openNext(), { class: "primary" });
    this.rows = el("ol", { class: "volumes" });
    this.more = button("Show more", () => this.#showMore(), { class: "more" });
    this.training = new TrainingPanel(app);
    this.names = new NamesPanel(app);
    this.contradictions = new ContradictionsPanel(app);
    this.element = el("div", { class: "list-view" }, this.#head(), el("div", { class: "columns" }, this.#body(), this.#side()));
    for (const kind of ["volumes", "progress", "session", "saver"]) {
      app.on(kind, () => this.element.isConnected && this.#draw());
    }
  }

  async enter() {
    document.title = this.app.session.title;
    this.#draw();
    this.contradictions.read();
    await this.app.readVolumes().catch(() => {});
  }

  leave() {}

  #head() {
    const words = el("div", {}, this.run, this.title, this.progress, this.meter, this.problem);
    return el("header", { class: "top" }, words, el("div", { class: "top-actions" }, this.next));
  }

  #body() {
    const find = el("input", { type: "search", placeholder: "Find a volume", "aria-label": "Find a volume", on: { input: () => this.#find(find.value) } });
    this.filters = el("div", { class: "filters", role: "group", "aria-label": "Which volumes" });
    const tools = el("div", { class: "tools" }, this.filters, find);
    return el("section", { class: "card", "aria-label": "Volumes" }, this.unsaved, this.advice, tools, this.rows, this.more);
  }

  #side() {
    return el("aside", {}, this.training.element, this.contradictions.element, this.names.element);
  }

  #find(text) {
    this.app.text = text;
    this.#draw();
  }

  #filter(name) {
    this.app.filter = name;
    this.#most = AT_ONCE;
    this.#draw();
  }

  #showMore() {
    this.#most += AT_ONCE;
    this.#draw();
  }

  async #openNext() {
    const given = await api.next("doubt").catch(() => null);
    const id = given?.id ?? nextToDo(this.app.volumes, null);
    if (id) {
      location.hash = `#/volume/${id}`;
    }
  }

  #draw() {
    const { app } = this;
    const { session, progress } = app;
    say(this.title, session.title);
    say(this.run, session.run ? `Predicted by ${session.run.name}` : "No model yet");
    say(this.progress, progressText(progress));
    say(this.problem, session.run?.problem ?? "");
    this.problem.hidden = !session.run?.problem;
    this.meter.value = progress.total ? progress.done / progress.total : 0;
    this.next.disabled = nextToDo(app.volumes, null) === null;
    say(this.next, session.run ? "Open the most doubtful" : "Open the next one");
    say(this.advice, session.advice ?? "");
    this.advice.hidden = !session.advice;
    this.#drawUnsaved();
    this.#drawFilters();
    this.#drawRows();
  }

  #drawUnsaved() {
    const known = new Map(this.app.volumes.map((one) => [one.id, one.name]));
    const ids = this.app.drafts.ids().filter((id) => known.has(id));
    const links = ids.map((id) => el("a", { href: `#/volume/${id}` }, known.get(id)));
    this.unsaved.hidden = links.length === 0;
    this.unsaved.replaceChildren("Not saved yet, kept in this browser; open to save: ", ...links);
  }

  #drawFilters() {
    const buttons = Object.entries(FILTERS).map(([name, { title, keeps }]) => {
      const count = this.app.volumes.filter(keeps).length;
      const pressed = String(name === this.app.filter);
      return button(`${title} ${count}`, () => this.#filter(name), { "aria-pressed": pressed, dataset: { filter: name } });
    });
    const focused = document.activeElement?.dataset?.filter;
    this.filters.replaceChildren(...buttons);
    buttons.find((one) => one.dataset.filter === focused)?.focus();
  }

  #drawRows() {
    const { volumes, filter, text } = this.app;
    const found = chosen(volumes, filter, text);
    const focused = document.activeElement?.dataset?.volume;
    const rows = found.slice(0, this.#most).map((one) => this.#row(one));
    const empty = volumes.length ? "No volume here." : "There are no volumes in this folder.";
    this.rows.replaceChildren(...(rows.length ? rows : [el("li", { class: "empty" }, empty)]));
    this.more.hidden = found.length <= this.#most;
    this.rows.querySelector(focused ? `[data-volume="${CSS.escape(focused)}"]` : "none")?.focus();
  }

  #row(volume) {
    const radius = volume.largest_radius_mm;
    const others = (volume.looking ?? []).filter((tab) => tab !== this.app.tab).length;
    const numbers = [
      radius ? `widest radius ${radius.toFixed(2)} mm` : null,
      volume.moved ? `${volume.moved} changed` : null,
      others ? "open elsewhere" : null,
    ].filter(Boolean);
    const open = { href: `#/volume/${volume.id}`, class: "volume", dataset: { volume: volume.id } };
    const row = el("div", { class: "row" }, el("a", open, volume.name), chip(volume.state), doubtsOf(volume), el("span", { class: "numbers" }, numbers.join(" · ")));
    return el("li", {}, row, this.#again(volume));
  }

  #again(volume) {
    if (volume.state !== "failed" && !(volume.state === "new" && this.app.session.run)) {
      return null;
    }
    const text = volume.state === "failed" ? "Try again" : "Predict next";
    const ask = (event) => {
      event.currentTarget.disabled = true;
      api.predict(volume.id).catch(() => {});
    };
    return button(text, ask, { class: "small" });
  }
}
