// Annotated landmarks which predictions of models that were not trained on them contradict.

import * as api from "../api.js";
import { el } from "../dom.js";

export class ContradictionsPanel {
  constructor(app) {
    this.app = app;
    this.rows = el("ul", {});
    this.element = el("section", { class: "card", hidden: true, "aria-label": "Landmarks to look at again" }, el("h2", {}, "Look again"), el("p", { class: "note" }, "Predictions of models that have not seen them contradict these annotations."), this.rows);
    app.on("training", () => this.app.training.state !== "running" && this.read());
  }

  async read() {
    try {
      const { contradictions = [] } = await api.contradictions();
      this.rows.replaceChildren(...contradictions.map((one) => this.#row(one)));
      this.element.hidden = contradictions.length === 0;
    } catch {
      this.element.hidden = true; // of a server that has none
    }
  }

  #row({ id, name, landmarks = [], message = "" }) {
    const place = landmarks[0] === undefined ? "" : `/${encodeURIComponent(landmarks[0])}`;
    const link = el("a", { href: `#/volume/${id}${place}` }, name);
    return el("li", {}, link, el("span", {}, ` ${message || landmarks.join(", ")}`));
  }
}
