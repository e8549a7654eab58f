// The beginning without a model: which landmarks there are, then the first scan.

import * as api from "../api.js";
import { button, el, say } from "../dom.js";
import { namesOf } from "../logic/volumes.js";

const EXAMPLE = "nasion\nbregma\nlambda";

export class BeginView {
  constructor(app) {
    this.app = app;
    this.names = el("textarea", { rows: "12", spellcheck: "false", placeholder: EXAMPLE, "aria-labelledby": "names-title", on: { input: () => this.#count() } });
    this.file = el("input", { type: "file", accept: ".json,.fcsv,.csv", on: { change: () => this.#template() }, "aria-label": "A markups file of 3D Slicer" });
    this.counted = el("p", { class: "note", role: "status" }, "No names yet.");
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.start = button("Open the first scan", () => this.#begin(), { class: "primary", disabled: true });
    this.advice = el("p", { class: "note" });
    this.element = el("div", { class: "begin" }, this.#words(), this.#form());
  }

  #words() {
    const steps = ["Say which landmarks there are.", "Place them in a first scan, one click each.", "After that, proposals come by themselves: you look, drag what is wrong, and accept."];
    return el("header", {}, el("p", { class: "eyebrow" }, "A new beginning"), el("h1", {}, "Which landmarks do you look for?"), el("ol", { class: "how" }, steps.map((text) => el("li", {}, text))), this.advice);
  }

  #form() {
    const typed = el("div", { class: "typed" }, el("h2", { id: "names-title" }, "Names, one a line"), this.names, this.counted);
    const upload = el("div", { class: "upload" }, el("h2", {}, "Or a file of 3D Slicer"), el("p", { class: "note" }, "A markups file (.mrk.json, .fcsv) whose landmarks have the names. Its positions are not used."), this.file);
    return el("section", { class: "card" }, el("div", { class: "two" }, typed, upload), this.problem, this.start);
  }

  async enter() {
    document.title = this.app.session.title;
    say(this.advice, this.app.session.advice ?? "");
    this.names.focus();
  }

  leave() {}

  #count() {
    const count = namesOf(this.names.value).length;
    say(this.counted, count ? `${count} landmark${count === 1 ? "" : "s"}.` : "No names yet.");
    this.start.disabled = count === 0;
    this.problem.hidden = true;
  }

  #begin() {
    return this.#send(() => api.setLandmarks(namesOf(this.names.value)));
  }

  #template() {
    const [file] = this.file.files;
    return file ? this.#send(() => api.setTemplate(file)) : undefined;
  }

  async #send(request) {
    try {
      await request();
      await this.app.readSession();
      await this.app.readVolumes();
      const given = await api.next("doubt").catch(() => null);
      const first = given?.id ?? this.app.volumes[0]?.id;
      location.hash = first ? `#/volume/${first}` : "#/";
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }
}
