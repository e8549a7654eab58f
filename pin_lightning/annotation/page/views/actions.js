// What keys and buttons do with the volume that is open.

import { mark } from "../logic/landmarks.js";
import { chosen } from "../logic/volumes.js";
import { finish } from "./finish.js";
import { help } from "./help.js";

const NUDGE = 0.5; // voxels

export class Actions {
  placing = false; // a click in a plane places the selected landmark

  constructor(view) {
    this.view = view;
  }

  /** Do what an action of keys.js is; false for an unknown one. */
  run(name) {
    if (!this.view.workspace || !(name in Actions.ALL)) {
      return false;
    }
    Actions.ALL[name](this);
    return true;
  }

  static ALL = {
    next: (one) => one.#step(1),
    previous: (one) => one.#step(-1),
    place: (one) => one.#togglePlacing(),
    put: (one) => one.#place(one.view.stage.view.cursor),
    missing: (one) => one.#toggleMissing(),
    predicted: (one) => one.#backToPrediction(),
    undo: (one) => one.#turnBack(one.view.workspace.undo()),
    redo: (one) => one.#turnBack(one.view.workspace.redo()),
    nudgeLeft: (one) => one.#nudge(-NUDGE, 0),
    nudgeRight: (one) => one.#nudge(NUDGE, 0),
    nudgeUp: (one) => one.#nudge(0, NUDGE),
    nudgeDown: (one) => one.#nudge(0, -NUDGE),
    accept: (one) => finish(one.view.workspace, one.view.app),
    nextVolume: (one) => one.#volume(1),
    previousVolume: (one) => one.#volume(-1),
    list: () => (location.hash = "#/"),
    sliceUp: (one) => one.view.stage.stepBy(1),
    sliceDown: (one) => one.view.stage.stepBy(-1),
    closer: (one) => one.view.stage.show("zoomBy", 1.25),
    farther: (one) => one.view.stage.show("zoomBy", 0.8),
    near: (one) => one.view.showSelected(true),
    whole: (one) => one.view.stage.show("whole"),
    large1: (one) => one.view.stage.enlarge("axial"),
    large2: (one) => one.view.stage.enlarge("sagittal"),
    large3: (one) => one.view.stage.enlarge("coronal"),
    large4: (one) => one.view.stage.enlarge("scene"),
    axes: (one) => one.#otherAxes(),
    hide: (one) => one.#flip("hidden"),
    names: (one) => one.#flip("names"),
    window: (one) => one.view.setWindow([...one.view.volume.window]),
    save: (one) => one.#save(),
    help: () => help(),
    escape: (one) => one.#escape(),
  };

  /** A click in a plane: place the landmark, or bring the other planes there. */
  clicked(mm) {
    if (this.placing) {
      this.#place(mm);
    } else {
      this.view.stage.changed({ cursor: mm });
    }
  }

  setPlacing(on) {
    this.placing = on;
  }

  #step(by) {
    const name = this.view.workspace.beside(by);
    if (name !== null) {
      this.view.find(name);
    }
  }

  #togglePlacing() {
    this.setPlacing(!this.placing);
    this.view.draw();
  }

  /** Place the selected landmark, and go on to the next one that is not placed. */
  #place(mm) {
    const { workspace, frame } = this.view;
    const wasOpen = workspace.current.position === null;
    workspace.set(workspace.selected, mark(frame.toWorld(mm)));
    this.view.stage.changed({ cursor: mm });
    const next = wasOpen ? workspace.nextOpen : null;
    this.setPlacing(next !== null);
    if (next !== null) {
      workspace.selected = next;
    }
    this.view.draw();
  }

  #toggleMissing() {
    const { workspace } = this.view;
    const { name, missing, predicted } = workspace.current;
    workspace.set(name, missing ? mark(predicted) : mark(null, true));
    this.setPlacing(false);
    this.view.draw();
  }

  #backToPrediction() {
    const { workspace } = this.view;
    const { name, predicted } = workspace.current;
    if (predicted !== null) {
      workspace.set(name, mark(predicted));
      this.view.draw();
      this.view.showSelected(false);
    }
  }

  #turnBack(name) {
    if (name) {
      this.setPlacing(false);
      this.view.draw();
      this.view.showSelected(false);
    }
  }

  #nudge(right, up) {
    const { workspace, frame, stage } = this.view;
    const { name, position } = workspace.current;
    if (position !== null) {
      const mm = stage.nudged(frame.toView(position), right, up);
      workspace.set(name, mark(frame.toWorld(mm)));
      stage.changed({ cursor: mm });
      this.view.draw();
    }
  }

  #flip(option) {
    const { stage } = this.view;
    stage[option] = !stage[option];
    stage.redraw();
  }

  #otherAxes() {
    const { view } = this;
    const other = view.frameName === "scanner" ? "anatomical" : "scanner";
    if (view.volume.frames[other]) {
      view.preferred = other;
      view.setFrame(other);
    }
  }

  #escape() {
    if (!this.view.stage.cancel()) {
      this.setPlacing(false);
    }
    this.view.draw();
  }

  #save() {
    const { saver } = this.view.workspace;
    if (saver.status === "conflict") {
      this.view.decide();
    } else {
      saver.flush();
    }
  }

  #volume(by) {
    const { app, volume } = this.view;
    const all = chosen(app.volumes, app.filter, app.text);
    const volumes = all.some((one) => one.id === volume.id) ? all : app.volumes;
    const index = volumes.findIndex((one) => one.id === volume.id);
    const other = volumes[(index + by + volumes.length) % volumes.length];
    if (other) {
      location.hash = `#/volume/${other.id}`;
    }
  }
}
