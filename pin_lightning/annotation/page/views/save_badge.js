// Whether everything is saved, always in sight.

import { button, el, say } from "../dom.js";

const WORDS = {
  saved: ["Saved", "✓"],
  waiting: ["Not saved yet", "…"],
  saving: ["Saving", "…"],
  away: ["Not saved: the server does not answer", "!"],
  conflict: ["Not saved: changed in two places", "!"],
  refused: ["Not saved", "!"],
};

export class SaveBadge {
  constructor(onClick) {
    this.mark = el("span", { "aria-hidden": "true" });
    this.text = el("span", { role: "status" });
    this.element = button("", onClick, { class: "save" });
    this.element.append(this.mark, " ", this.text);
  }

  draw({ status, message, version }) {
    const [text, mark] = WORDS[status];
    say(this.text, message ? `${text}: ${message}` : text);
    say(this.mark, mark);
    this.element.dataset.status = status;
    this.element.dataset.version = version;
    this.element.disabled = ["saved", "saving"].includes(status);
  }
}
