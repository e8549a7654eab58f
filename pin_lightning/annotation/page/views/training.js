// Learning again from what was done: start, progress, cancel, and what became better.

import * as api from "../api.js";
import { button, el, say } from "../dom.js";

const TICK_MS = 1000;
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

/** What a training takes, or lacks: "It needs 5 volumes that are done: 2 more." */
function uses(done, fewest) {
  return done < fewest ? `It needs ${fewest} volumes that are done: ${fewest - done} more.` : `It uses the ${done} volumes that are done.`;
}

const shown = (name, value) => (name.endsWith("_mm") ? value.toFixed(2) : String(value));

/** Mean error of the points of a case that a person moved. */
function corrected({ id, name, before_mm: before, now_mm: now }) {
  const cell = (mm) => el("td", {}, typeof mm === "number" ? mm.toFixed(2) : "–");
  const link = el("a", { href: `#/volume/${id}` }, name);
  return el("tr", {}, el("th", { scope: "row" }, link), cell(before), cell(now));
}

export class TrainingPanel {
  refused = ""; // why what was asked for last was not done

  constructor(app) {
    this.app = app;
    this.state = el("p", { role: "status" });
    this.detail = el("p", { class: "note" });
    this.meter = el("progress", { max: 1, hidden: true, "aria-label": "Share of the training" });
    this.result = el("div", { class: "result" });
    this.start = button("Learn from what is done", () => this.#start(), { class: "wide start" });
    this.uses = el("p", { class: "note" });
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.cancel = button("Cancel", () => this.#call(api.cancelTraining), { class: "wide cancel" });
    this.element = el("section", { class: "card training", "aria-label": "Training" }, el("h2", {}, "Training"), this.state, this.meter, this.detail, this.result, this.start, this.uses, this.cancel, this.problem);
    for (const kind of ["training", "session", "volumes", "progress"]) {
      app.on(kind, () => this.#draw());
    }
    setInterval(() => app.training.state === "running" && this.element.isConnected && this.#draw(), TICK_MS);
  }

  async #start() {
    this.start.disabled = true;
    await this.#call(api.train);
  }

  async #call(request) {
    this.refused = "";
    try {
      this.app.setTraining((await request()) ?? this.app.training);
    } catch (error) {
      this.refused = error.message;
    }
    this.#draw();
  }

  #draw() {
    const { training, progress } = this.app;
    const running = training.state === "running";
    say(this.state, WORDS[training.state] ?? training.state);
    this.state.hidden = training.state === "idle";
    const detail = this.#detail(training);
    say(this.detail, detail);
    this.detail.hidden = !detail;
    say(this.problem, this.refused);
    this.problem.hidden = !this.refused;
    this.meter.hidden = !running;
    if (running && training.steps) {
      this.meter.value = training.step / training.steps;
    } else {
      this.meter.removeAttribute("value");
    }
    this.start.hidden = running;
    const fewest = this.app.session.fewest_to_train;
    this.start.disabled = progress.done < fewest;
    this.uses.hidden = running;
    say(this.uses, uses(progress.done, fewest));
    this.cancel.hidden = !running;
    this.#drawResult(training.result);
  }

  #detail(training) {
    if (training.state === "running") {
      const steps = training.steps ? `step ${training.step} of ${training.steps}, ` : "";
      const seconds = training.seconds + (performance.now() - training.heardAt) / 1000;
      return [`${steps}${duration(seconds)}`, training.message].filter(Boolean).join(" · ");
    }
    return training.result?.cases ? "" : training.message; // else the numbers say it
  }

  /** What was improved: numbers, and each corrected case before and now. */
  #drawResult(result) {
    const known = Object.keys(NUMBERS).filter((name) => (result?.[name] ?? null) !== null);
    const rows = known.map((name) => [el("dt", {}, NUMBERS[name]), el("dd", {}, shown(name, result[name]))]);
    const cases = (result?.corrected ?? []).map((one) => corrected(one));
    const head = ["Corrected", "Before", "Now, mm"].map((text) => el("th", { scope: "col" }, text));
    const table = el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, cases));
    this.result.hidden = rows.length === 0;
    this.result.replaceChildren(rows.length ? el("dl", {}, rows) : "", cases.length ? table : "");
  }
}
