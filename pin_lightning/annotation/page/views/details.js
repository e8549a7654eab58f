// The selected landmark: positions, radius, distance, and what can be done with it.

import { button, el, say } from "../dom.js";
import { changeOf } from "../logic/landmarks.js";

const place = (mm) => (mm ? mm.map((value) => value.toFixed(2)).join(", ") : "–");

export class Details {
  /** @param act called with the name of an action of keys.js */
  constructor(act) {
    this.name = el("h2", {});
    this.reason = el("p", { class: "reason" });
    this.values = {};
    const rows = [
      ["position", "Position (RAS+, mm)"],
      ["predicted", "Predicted"],
      ["moved", "Away from it"],
      ["radius", "Radius"],
    ].map(([key, title]) => {
      this.values[key] = el("dd", {});
      return el("div", {}, el("dt", {}, title), this.values[key]);
    });
    this.placing = button("Place", () => act("place"), { key: "P" });
    this.missing = button("Missing", () => act("missing"), { key: "M" });
    this.back = button("Prediction", () => act("predicted"), { key: "R", title: "Back to the predicted position" });
    const buttons = el("div", { class: "detail-actions" }, this.placing, this.missing, this.back);
    this.element = el("section", { class: "details", "aria-label": "Selected landmark" }, this.name, this.reason, el("dl", {}, rows), buttons);
  }

  draw(one, placing) {
    this.element.hidden = one === null;
    if (one === null) {
      return;
    }
    const { kind, mm } = changeOf(one);
    say(this.name, one.name);
    say(this.reason, one.reason || "");
    this.reason.hidden = !one.reason;
    say(this.values.position, one.missing ? "missing" : place(one.position));
    say(this.values.predicted, place(one.predicted));
    say(this.values.moved, mm === null || kind === "placed" ? "–" : `${mm.toFixed(3)} mm`);
    say(this.values.radius, one.radius_mm ? `${one.radius_mm.toFixed(2)} mm` : "–");
    this.placing.setAttribute("aria-pressed", String(placing));
    this.missing.setAttribute("aria-pressed", String(one.missing));
    this.back.disabled = one.predicted === null || kind === "same";
  }
}
