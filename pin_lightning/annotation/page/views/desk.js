// What is seen of a volume: bar, planes, landmarks, and lines of text over them.

import { el, say } from "../dom.js";
import { changeOf } from "../logic/landmarks.js";
import { range } from "../viewer/images.js";
import { Stage } from "../viewer/stage.js";
import { Bar } from "./bar.js";
import { Details } from "./details.js";
import { doubtText } from "./doubts.js";
import { MarksList } from "./marks_list.js";

const NOTICE_MS = 8000;
const REASONS = 4;

/** What to do while landmarks are placed. */
function hintOf(name, coming) {
  return coming ? `Landmarks are being predicted: wait, or click where ${name} lies.` : `Click in a plane where ${name} lies. Esc ends placing.`;
}

export class Desk {
  #timer = null;

  /**
   * @param asks of Stage, and {act(name of an action), find(name), order(order), window(window)}
   */
  constructor(asks) {
    this.asks = asks;
    this.stage = new Stage(asks);
    this.bar = new Bar(asks.act, { change: asks.window, reset: () => asks.act("window") });
    this.list = new MarksList(asks.find, asks.order);
    this.details = new Details(asks.act);
    this.doubts = el("div", { class: "doubts-line", hidden: true });
    this.notice = el("p", { class: "notice", role: "status", hidden: true });
    this.hint = el("p", { class: "hint", role: "status", hidden: true });
    const side = el("aside", { class: "side" }, this.details.element, this.list.element);
    const middle = el("div", { class: "middle" }, this.doubts, this.hint, this.notice, this.stage.element);
    this.element = el("div", { class: "volume-view" }, this.bar.element, el("div", { class: "desk" }, middle, side));
  }

  /** Show nothing but a text. */
  blank(text) {
    this.element.classList.add("blank");
    this.say("");
    this.stage.blank(text);
  }

  /**
   * Draw the landmarks of a workspace.
   * @param shown {frame, frameName, frames: names of frames, placing, coming: whether a prediction is, position: text}
   */
  draw(workspace, { frame, placing, coming, ...shown }) {
    this.element.classList.remove("blank");
    this.stage.landmarks = workspace.landmarks.map((one) => ({
      ...one,
      view: frame.toView(one.position),
      predictedView: frame.toView(one.predicted),
      selected: one.name === workspace.selected,
      changed: changeOf(one).kind !== "same",
    }));
    this.stage.placing = placing;
    this.stage.redraw();
    this.list.draw(workspace);
    this.details.draw(workspace.current, placing);
    this.bar.draw(workspace, shown);
    this.hint.hidden = !placing;
    say(this.hint, placing ? hintOf(workspace.selected, coming) : "");
  }

  /** Sliders of the grey values as the planes have them. */
  drawWindow() {
    const { window, images } = this.stage;
    const overview = images?.overview;
    this.bar.window.draw(window, overview ? range(overview) : window);
  }

  /** Why to look at this volume, and whether others do. */
  drawDoubts(volume, isOpenElsewhere) {
    const found = [{ text: volume.reason }, ...volume.doubts].filter((one) => one.text);
    if (isOpenElsewhere) {
      found.unshift({ text: "This volume is open in another tab, too." });
    }
    const shown = [...new Map(found.map((one) => [one.text, one])).values()].slice(0, REASONS);
    const link = (name) => el("button", { type: "button", class: "link", on: { click: () => this.asks.find(name) } }, name);
    this.doubts.hidden = shown.length === 0;
    this.doubts.replaceChildren(...shown.map((one) => el("span", {}, doubtText(one, link))));
  }

  /** A line over the planes for a while. */
  say(text) {
    clearTimeout(this.#timer);
    this.notice.textContent = text;
    this.notice.hidden = text === "";
    this.#timer = text && setTimeout(() => this.say(""), NOTICE_MS);
  }

  sayChanged(names) {
    if (names.length > 0) {
      const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
      this.say(`Changed elsewhere: ${names.slice(0, 4).join(", ")}${more}.`);
    }
  }
}
