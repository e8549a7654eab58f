// The names of the landmarks, and how they are changed while no model has names of its own.

import * as api from "../api.js";
import { ask, button, el, say } from "../dom.js";

const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** What a change means for what is saved already. */
function meaning(kind, { saved, done }) {
  const files = `the ${saved === 1 ? "file" : "files"} of ${counted(saved, "volume")}`;
  return {
    add: `It comes last, and is not placed in any volume yet.${done ? ` Volumes that are done (${done}) count as begun again where it is not placed; all else in them stays.` : ""}`,
    rename: `It gets the new name in ${files}, each as a new version.`,
    remove: `It is not asked for any more. Where it is placed, it stays in ${files} as a point of another name, and is shown; added again, it is back.`,
  }[kind];
}

const TITLES = { add: "Add a landmark", rename: "Rename", remove: "Remove" };

export class NamesPanel {
  constructor(app) {
    this.app = app;
    this.known = el("p", { class: "note" });
    this.edit = button("Change the names", () => this.#open(), { class: "wide names" });
    this.element = el("section", { class: "card", "aria-label": "Names of landmarks" }, el("h2", {}, "Landmarks"), this.known, this.edit);
    this.rows = el("ul", { class: "name-rows" });
    this.step = el("form", { class: "name-step", hidden: true, on: { submit: (event) => this.#send(event) } });
    this.field = el("input", { type: "text", maxlength: "200", spellcheck: "false", "aria-label": "Name" });
    this.problem = el("p", { class: "problem", role: "alert" });
    for (const kind of ["session", "volumes"]) {
      app.on(kind, () => this.#draw());
    }
  }

  #draw() {
    const { landmarks, run } = this.app.session;
    say(this.known, run ? `${counted(landmarks.length, "landmark")}, those of the model (${run.name}), which are fixed.` : `${counted(landmarks.length, "landmark")}.`);
    this.edit.hidden = run !== null;
    if (landmarks.join("\n") !== this.drawn) {
      this.drawn = landmarks.join("\n");
      this.rows.replaceChildren(...landmarks.map((name) => this.#row(name, landmarks.length > 1)));
    }
    if (this.change && this.change.kind !== "add" && !landmarks.includes(this.change.name)) {
      this.#begin(null); // somebody else has changed it
    }
  }

  #row(name, canGo) {
    const begin = (kind) => () => this.#begin({ kind, name });
    const rename = button("Rename", begin("rename"), { class: "small", "aria-label": `Rename ${name}` });
    const remove = button("Remove", begin("remove"), { class: "small", disabled: !canGo, "aria-label": `Remove ${name}` });
    return el("li", { dataset: { name } }, el("span", {}, name), rename, remove);
  }

  #open() {
    this.#begin(null);
    const add = button("Add a landmark", () => this.#begin({ kind: "add", name: "" }), { class: "small add" });
    ask("Landmarks", [this.rows, add, this.step], [["", "Close"]]);
  }

  /** Ask for what a change needs, and say what it means; null asks for nothing. */
  #begin(change) {
    this.change = change;
    this.step.hidden = change === null;
    say(this.problem, "");
    if (change !== null) {
      const { kind, name } = change;
      const { volumes, progress } = this.app;
      const saved = volumes.filter((one) => one.version > 0).length;
      const go = el("button", { type: "submit", class: "primary" }, TITLES[kind]);
      const text = el("p", { class: "note" }, meaning(kind, { saved, done: progress.done }));
      this.field.value = kind === "rename" ? name : "";
      this.step.replaceChildren(el("h3", {}, kind === "add" ? TITLES.add : `${TITLES[kind]} ${name}`), kind === "remove" ? "" : this.field, text, this.problem, go);
      (kind === "remove" ? go : this.field).focus();
    }
  }

  async #send(event) {
    event.preventDefault();
    const { kind, name } = this.change;
    const given = this.field.value.trim();
    const change = kind === "add" ? { kind, name: given } : { kind, name, new_name: kind === "rename" ? given : "" };
    try {
      this.app.setSession(await api.changeLandmarks(change));
      await this.app.readVolumes().catch(() => {});
      this.#begin(null);
    } catch (error) {
      say(this.problem, error.message);
    }
  }
}
