// One volume: opened, shown, worked on and left.

import * as api from "../api.js";
import { Frame } from "../logic/frames.js";
import { actionOf } from "../logic/keys.js";
import { mark } from "../logic/landmarks.js";
import { Workspace } from "../logic/workspace.js";
import { Actions } from "./actions.js";
import { decide } from "./conflict.js";
import { Desk } from "./desk.js";
import { Heartbeat } from "./heartbeat.js";

export class VolumeView {
  volume = null;
  workspace = null;
  frame = null;
  frameName = "scanner";
  preferred = "anatomical"; // axes that the person chose last
  #order = "file";
  #deciding = false;

  constructor(app) {
    this.app = app;
    this.actions = new Actions(this);
    this.desk = new Desk(this.#asks());
    this.stage = this.desk.stage;
    this.element = this.desk.element;
    this.heartbeat = new Heartbeat(app.tab);
    app.on("saver", (saver) => this.isOpen && saver === this.workspace.saver && this.#saverChanged());
    app.on("renamed", ({ name, new_name: other }) => this.workspace?.rename(name, other));
    app.on("volumes", () => this.isOpen && this.#drawAround());
    addEventListener("keydown", (event) => this.isOpen && this.#key(event));
    addEventListener("pointerdown", () => this.isOpen && this.#acted());
  }

  get isOpen() {
    return this.element.isConnected && this.workspace !== null;
  }

  // Coming and going.

  async enter(id, landmark = null) {
    this.workspace = null;
    this.desk.blank("Loading the volume …");
    try {
      const volume = await api.volume(id);
      if (location.hash.startsWith(`#/volume/${id}`)) {
        this.#open(volume, landmark);
      }
    } catch (error) {
      this.desk.blank(`The volume could not be opened: ${error.message}`);
    }
  }

  #open(volume, landmark) {
    this.volume = volume;
    document.title = `${volume.name} – ${this.app.session.title}`;
    if (!volume.frames.scanner) {
      this.desk.blank(`${volume.name} cannot be shown: ${volume.reason}`);
      return;
    }
    this.workspace = new Workspace(this.app.saverOf(volume));
    this.workspace.order = this.#order;
    this.workspace.selected = landmark ?? this.workspace.selected;
    this.heartbeat.begin(volume.id);
    this.#acted();
    this.actions.setPlacing(this.workspace.isOpen);
    this.setFrame(volume.frames[this.preferred] ? this.preferred : "scanner", volume.window);
    this.#saverChanged();
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

  /** Show the volume along axes; where `window` is null, as it is shown already. */
  setFrame(name, window = null) {
    const place = window === null ? this.frame.toWorld(this.stage.view.cursor) : null;
    this.frameName = name;
    this.frame = new Frame(this.volume.frames[name]);
    this.stage.open(this.volume.id, name, this.frame, this.volume.spacing_mm, window ?? this.stage.window);
    this.draw();
    if (place === null) {
      this.showSelected(true);
    } else {
      this.stage.show("near", this.frame.toView(place), this.workspace.current?.radius_mm ?? 0);
    }
  }

  setWindow(window) {
    this.stage.setWindow(window);
    this.desk.drawWindow();
  }

  /** Select a landmark and bring it into the middle. */
  find(name) {
    this.workspace.selected = name;
    this.actions.setPlacing(this.workspace.isOpen);
    this.draw();
    this.showSelected(false);
  }

  /** Bring the selected landmark, or where it was predicted, into the middle of all planes. */
  showSelected(close) {
    const one = this.workspace.current;
    const place = one && this.frame.toView(one.position ?? one.predicted);
    if (one) {
      this.desk.list.reveal(one.name);
    }
    if (place) {
      this.stage.show(close ? "near" : "goTo", place, one.radius_mm ?? 0);
    } else if (close) {
      this.stage.show("whole");
    }
  }

  draw() {
    const { volumes } = this.app;
    const index = volumes.findIndex((one) => one.id === this.volume.id);
    const coming = volumes[index]?.coming && this.workspace.saver.version === 0;
    this.desk.draw(this.workspace, {
      frame: this.frame,
      frameName: this.frameName,
      frames: Object.keys(this.volume.frames),
      placing: this.actions.placing,
      coming,
      position: index < 0 ? "" : `${index + 1} of ${volumes.length}`,
    });
  }

  #drawAround() {
    const own = this.app.volumes.find((one) => one.id === this.volume.id);
    const others = (own?.looking ?? []).filter((tab) => tab !== this.app.tab);
    this.desk.drawDoubts(this.volume, others.length > 0);
    this.draw();
  }

  #saverChanged() {
    const { saver } = this.workspace;
    const changed = [...this.workspace.changedElsewhere()];
    this.volume = saver.volume ?? this.volume; // a prediction brings axes and doubts
    if (changed.length > 0 && saver.version === 0) {
      this.desk.say("The prediction has arrived.");
      this.find(this.workspace.selected);
    } else {
      this.desk.sayChanged(changed);
    }
    this.#drawAround();
    if (saver.status === "conflict") {
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
      act: (name) => this.actions.run(name),
      find: (name) => this.find(name),
      order: (order) => {
        this.#order = this.workspace.order = order;
        this.draw();
      },
      window: (window) => this.setWindow(window),
      select: (name) => this.#taken(name),
      dragged: (name, mm, ended) => this.#dragged(name, mm, ended),
      dropped: () => {
        this.workspace?.drag(null, null);
        this.draw();
      },
      clicked: (mm) => this.actions.clicked(mm),
      windowed: () => this.desk.drawWindow(),
      arrived: () => this.workspace && this.desk.drawWindow(),
    };
  }

  /** A landmark was pressed in a plane: the other planes come to it. */
  #taken(name) {
    this.workspace.selected = name;
    this.actions.setPlacing(false);
    this.desk.list.reveal(name);
    this.stage.changed({ cursor: this.frame.toView(this.workspace.current.position) });
    this.draw();
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

  /** Time is counted between things that a person does. */
  #acted() {
    this.workspace.saver.time?.act(performance.now());
  }

  #key(event) {
    this.#acted();
    const { tagName, type } = document.activeElement ?? {};
    const kind = tagName === "INPUT" ? type : "";
    const action = document.querySelector("dialog[open]") ? null : actionOf(event, tagName, kind);
    if (action && this.actions.run(action)) {
      event.preventDefault();
    }
  }
}
