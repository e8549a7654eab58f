// One volume: planes, landmarks, and what a person does with them.

import * as api from "../api.js";
import { el, say } from "../dom.js";
import { Frame } from "../logic/frames.js";
import { actionOf } from "../logic/keys.js";
import { changeOf, mark } from "../logic/landmarks.js";
import { Workspace } from "../logic/workspace.js";
import { range } from "../viewer/images.js";
import { Stage } from "../viewer/stage.js";
import { Actions } from "./actions.js";
import { Bar } from "./bar.js";
import { decide } from "./conflict.js";
import { Details } from "./details.js";
import { Heartbeat } from "./heartbeat.js";
import { MarksList } from "./marks_list.js";

const NOTICE_MS = 8000;

export class VolumeView {
  volume = null;
  workspace = null;
  frameName = "scanner";
  preferred = "anatomical"; // axes that the person chose last
  #timer = null;
  #deciding = false;

  constructor(app) {
    this.app = app;
    this.actions = new Actions(this);
    const act = (name) => this.actions.run(name);
    this.stage = new Stage(this.#asks());
    this.bar = new Bar(act, { change: (window) => this.setWindow(window), reset: () => act("window") });
    this.list = new MarksList((name) => this.find(name), (order) => this.#order(order));
    this.details = new Details(act);
    this.heartbeat = new Heartbeat(app.tab);
    this.doubts = el("div", { class: "doubts-line", hidden: true });
    this.notice = el("p", { class: "notice", role: "status", hidden: true });
    this.hint = el("p", { class: "hint", role: "status", hidden: true });
    const side = el("aside", { class: "side" }, this.details.element, this.list.element);
    const middle = el("div", { class: "middle" }, this.doubts, this.hint, this.notice, this.stage.element);
    this.element = el("div", { class: "volume-view" }, this.bar.element, el("div", { class: "desk" }, middle, side));
    this.#listen();
  }

  #listen() {
    this.app.on("saver", (saver) => this.#isShown(saver) && this.#saverChanged());
    this.app.on("volumes", () => this.isOpen && this.#drawLooking());
    addEventListener("keydown", (event) => this.isOpen && this.#key(event));
    addEventListener("pointerdown", () => this.#acted());
  }

  get isOpen() {
    return this.element.isConnected && this.workspace !== null;
  }

  #isShown(saver) {
    return this.isOpen && saver === this.workspace.saver;
  }

  #acted() {
    if (this.isOpen) {
      this.workspace.saver.time?.act(performance.now());
    }
  }

  // Coming and going.

  async enter(id, landmark = null) {
    this.#clear();
    try {
      const volume = await api.volume(id);
      if (location.hash.startsWith(`#/volume/${id}`)) {
        this.#open(volume, landmark);
      }
    } catch (error) {
      this.#blank(`The volume could not be opened: ${error.message}`);
    }
  }

  #clear() {
    this.#blank("Loading the volume …");
    this.workspace = null;
    this.say("");
  }

  #blank(text) {
    this.element.classList.add("blank");
    this.stage.blank(text);
  }

  #open(volume, landmark) {
    this.volume = volume;
    this.workspace = new Workspace(this.app.saverOf(volume));
    this.workspace.order = this.order ?? "file";
    this.workspace.selected = landmark ?? this.workspace.selected;
    document.title = `${volume.name} – ${this.app.session.title}`;
    this.heartbeat.begin(volume.id);
    this.#acted();
    this.actions.setPlacing(this.workspace.current?.position === null && !this.workspace.current.missing);
    if (volume.frames.scanner) {
      this.element.classList.remove("blank");
      this.setFrame(volume.frames[this.preferred] ? this.preferred : "scanner");
      this.#saverChanged();
    } else {
      this.workspace = null;
      this.#blank(`${volume.name} cannot be shown: ${volume.reason}`);
    }
  }

  leave() {
    this.heartbeat.end();
    this.workspace?.saver.flush();
    this.stage.cancel();
    this.workspace = null;
  }

  /** The server is back after a break. */
  back() {
    if (this.isOpen) {
      this.workspace.saver.heard(this.workspace.saver.version, true);
    }
  }

  // What is shown.

  setFrame(name) {
    const world = this.frame && this.stage.frame ? this.frame.toWorld(this.stage.view.cursor) : null;
    const again = world && this.shownId === this.volume.id;
    this.frameName = name;
    this.frame = new Frame(this.volume.frames[name]);
    const window = again ? this.stage.window : this.volume.window;
    this.stage.open(this.volume.id, name, this.frame, this.volume.spacing_mm, window);
    this.shownId = this.volume.id;
    this.draw();
    if (again) {
      this.stage.goTo(this.frame.toView(world));
    } else {
      this.showSelected(true);
    }
  }

  setWindow(window) {
    this.stage.setWindow(window);
    this.#drawWindow();
  }

  #drawWindow() {
    const { overview } = this.stage.images;
    this.bar.window.draw(this.stage.window, overview ? range(overview) : this.stage.window);
  }

  #order(order) {
    this.order = this.workspace.order = order;
    this.draw();
  }

  /** Select a landmark and bring it into the middle. */
  find(name) {
    this.workspace.selected = name;
    const { position, missing } = this.workspace.current;
    this.actions.setPlacing(position === null && !missing);
    this.draw();
    this.showSelected(false);
  }

  /** Bring the selected landmark, or where it was predicted, into the middle of all planes. */
  showSelected(close) {
    const one = this.workspace.current;
    const place = one && this.frame.toView(one.position ?? one.predicted);
    if (!place) {
      return close ? this.stage.whole() : undefined;
    }
    this.list.reveal(one.name);
    return close ? this.stage.near(place, one.radius_mm ?? 0) : this.stage.goTo(place);
  }

  draw() {
    const { workspace, stage, frame } = this;
    stage.landmarks = workspace.landmarks.map((one) => ({
      ...one,
      view: frame.toView(one.position),
      predictedView: frame.toView(one.predicted),
      selected: one.name === workspace.selected,
      changed: changeOf(one).kind !== "same",
    }));
    stage.placing = this.actions.placing;
    stage.redraw();
    this.list.draw(workspace);
    this.details.draw(workspace.current, this.actions.placing);
    this.#drawBar();
    this.#drawHint();
  }

  #drawBar() {
    const { volumes } = this.app;
    const index = volumes.findIndex((one) => one.id === this.volume.id);
    const position = index < 0 ? "" : `${index + 1} of ${volumes.length}`;
    this.bar.draw(this.workspace, { frame: this.frameName, frames: Object.keys(this.volume.frames), position });
  }

  #drawHint() {
    const name = this.workspace.selected;
    this.hint.hidden = !this.actions.placing;
    say(this.hint, this.actions.placing ? `Click in a plane where ${name} lies. Esc ends placing.` : "");
  }

  #drawLooking() {
    const own = this.app.volumes.find((one) => one.id === this.volume.id);
    const others = (own?.looking ?? []).filter((tab) => tab !== this.app.tab);
    const texts = [this.volume.reason, ...this.volume.doubts.map((one) => one.text)].filter(Boolean);
    if (others.length) {
      texts.unshift("This volume is open in another tab, too.");
    }
    this.doubts.hidden = texts.length === 0;
    this.doubts.replaceChildren(...[...new Set(texts)].slice(0, 4).map((text) => el("span", {}, text)));
    this.#drawBar();
  }

  /** A line above the planes for a while. */
  say(text) {
    clearTimeout(this.#timer);
    this.notice.textContent = text;
    this.notice.hidden = text === "";
    this.#timer = text && setTimeout(() => this.say(""), NOTICE_MS);
  }

  #saverChanged() {
    const names = [...this.workspace.changedElsewhere()];
    if (names.length > 0) {
      const listed = names.slice(0, 4).join(", ");
      const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
      this.say(`Changed elsewhere: ${listed}${more}.`);
    }
    this.draw();
    this.#drawLooking();
    if (this.workspace.saver.status === "conflict") {
      this.decide();
    }
  }

  /** Ask what to keep of two versions. */
  async decide() {
    if (!this.#deciding) {
      this.#deciding = true;
      await decide(this.workspace.saver);
      this.#deciding = false;
    }
  }

  // What is done.

  #asks() {
    return {
      find: (name) => this.find(name),
      select: (name) => {
        this.workspace.selected = name;
        this.actions.setPlacing(false);
        this.list.reveal(name);
        this.stage.changed({ cursor: this.frame.toView(this.workspace.current.position) });
        this.draw();
      },
      dragged: (name, mm, ended) => this.#dragged(name, mm, ended),
      dropped: () => {
        this.workspace?.drag(null, null);
        this.draw();
      },
      clicked: (mm) => this.actions.clicked(mm),
      windowed: () => this.#drawWindow(),
      arrived: () => this.workspace && this.#drawWindow(),
    };
  }

  #dragged(name, mm, ended) {
    const world = this.frame.toWorld(mm);
    if (ended) {
      this.workspace.set(name, mark(world));
    } else {
      this.workspace.drag(name, world);
    }
    this.stage.changed({ cursor: mm });
    this.draw();
  }

  #key(event) {
    this.#acted();
    const { tagName, type } = document.activeElement ?? {};
    const action = document.querySelector("dialog[open]") ? null : actionOf(event, tagName, tagName === "INPUT" ? type : "");
    if (action && this.actions.run(action)) {
      event.preventDefault();
    }
  }
}
