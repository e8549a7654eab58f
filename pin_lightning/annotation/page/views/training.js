// Learning again from what was done: start, progress, cancel, and what became better.

import * as api from "../api.js";
import { button, el, say } from "../dom.js";

const WORDS = {
  idle: "",
  running: "Learning …",
  failed: "The training failed.",
  cancelled: "The training was cancelled.",
  finished: "The new model is in use.",
};

const NUMBERS = {
  cases: "Cases",
  out_of_fold_mm: "Error on cases that it has not seen, mm",
  moved_points: "Points that were moved",
  moved_points_before_mm: "they were off by, mm",
  moved_points_now_mm: "they would now be off by, mm",
  annotations_to_check: "Annotations to look at again",
  left_out: "Left out",
};

/** "2 min 5 s". */
function duration(seconds) {
  const whole = Math.round(seconds ?? 0);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** What a training lacks: "It needs 5 volumes that are done: 2 more." */
const needed = (fewest, missing) => `It needs ${fewest} volumes that are done: ${missing} more.`;

const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value));

/** Mean error of the points of a case that a person moved. */
function corrected({ id, name, before_mm: before, now_mm: now }) {
  const cell = (mm) => el("td", {}, typeof mm === "number" ? mm.toFixed(2) : "–");
  const link = el("a", { href: `#/volume/${id}` }, name);
  return el("tr", {}, el("th", { scope: "row" }, link), cell(before), cell(now));
}

export class TrainingPanel {
  constructor(app) {
    this.app = app;
    this.state = el("p", { role: "status" });
    this.detail = el("p", { class: "note" });
    this.meter = el("progress", { max: 1, hidden: true, "aria-label": "Share of the training" });
    this.result = el("div", { class: "result" });
    this.start = button("Learn from what is done", () => this.#start(), { class: "wide start" });
    this.need = el("p", { class: "note" });
    this.cancel = button("Cancel", () => this.#call(api.cancelTraining), { class: "wide" });
    this.element = el("section", { class: "card training", "aria-label": "Training" }, el("h2", {}, "Training"), this.state, this.meter, this.detail, this.result, this.start, this.need, this.cancel);
    for (const kind of ["training", "session", "volumes", "progress"]) {
      app.on(kind, () => this.#draw());
    }
  }

  async #start() {
    this.start.disabled = true;
    await this.#call(api.train);
  }

  async #call(request) {
    try {
      this.app.training = (await request()) ?? this.app.training;
      this.#draw();
    } catch (error) {
      this.#draw();
      say(this.detail, error.message);
    }
  }

  #draw() {
    const { training, progress } = this.app;
    const running = training.state === "running";
    say(this.state, WORDS[training.state] ?? training.state);
    this.state.hidden = training.state === "idle";
    say(this.detail, this.#detail(training, progress));
    this.meter.hidden = !running;
    if (running && training.steps) {
      this.meter.value = training.step / training.steps;
    } else {
      this.meter.removeAttribute("value");
    }
    this.start.hidden = running;
    const missing = this.app.session.fewest_to_train - progress.done;
    this.start.disabled = missing > 0;
    this.need.hidden = running || missing <= 0;
    say(this.need, needed(this.app.session.fewest_to_train, missing));
    this.cancel.hidden = !running;
    this.#drawResult(training.result);
  }

  #detail(training, progress) {
    if (training.state === "running") {
      const steps = training.steps ? `step ${training.step} of ${training.steps}, ` : "";
      return [`${steps}${duration(training.seconds)}`, training.message].filter(Boolean).join(" · ");
    }
    if (training.message) {
      return training.message;
    }
    return progress.done > 1 ? `Uses the ${progress.done} volumes that are done.` : "";
  }

  /** What was improved: numbers, and each corrected case before and now. */
  #drawResult(result) {
    const known = Object.keys(NUMBERS).filter((name) => (result?.[name] ?? null) !== null);
    const rows = known.map((name) => [el("dt", {}, NUMBERS[name]), el("dd", {}, short(result[name]))]);
    const cases = (result?.corrected ?? []).map((one) => corrected(one));
    const head = ["Corrected", "Before", "Now, mm"].map((text) => el("th", { scope: "col" }, text));
    const table = el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, cases));
    this.result.replaceChildren(rows.length ? el("dl", {}, rows) : "", cases.length ? table : "");
  }
}
