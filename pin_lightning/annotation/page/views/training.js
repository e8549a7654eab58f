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

/** "2 min 5 s". */
function duration(seconds) {
  const whole = Math.round(seconds ?? 0);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export class TrainingPanel {
  constructor(app) {
    this.app = app;
    this.state = el("p", { role: "status" });
    this.detail = el("p", { class: "note" });
    this.meter = el("progress", { max: 1, hidden: true, "aria-label": "Share of the training" });
    this.result = el("div", { class: "result" });
    this.start = button("Learn from what is done", () => this.#start(), { class: "wide" });
    this.cancel = button("Cancel", () => this.#call(api.cancelTraining), { class: "wide" });
    this.element = el("section", { class: "card training", "aria-label": "Training" }, el("h2", {}, "Training"), this.state, this.meter, this.detail, this.result, this.start, this.cancel);
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
    this.start.disabled = progress.done === 0;
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
    return progress.done === 0 ? "Accept or correct some volumes first." : `Uses the ${progress.done} volumes that are done.`;
  }

  /** What was improved: lines of text, or numbers by name. */
  #drawResult(result) {
    const entries = result ? Object.entries(result).filter(([, value]) => typeof value !== "object") : [];
    const rows = entries.map(([name, value]) => {
      const shown = typeof value === "number" ? Number(value.toPrecision(3)) : value;
      return [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, String(shown))];
    });
    this.result.replaceChildren(rows.length ? el("dl", {}, rows) : "");
  }
}
