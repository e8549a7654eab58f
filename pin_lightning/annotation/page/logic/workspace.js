// A volume that a person works on: its landmarks, which one is selected, undo and redo.

import { History } from "./history.js";
import { mark, nextOpen, ordered, sameMark, withMark, withName } from "./landmarks.js";
import { differing } from "./merge.js";

export class Workspace {
  history = new History();
  selected = null;
  order = "file";
  #shown = null; // landmarks of the saver when it was looked at last
  #dragged = null; // {name, ...mark} while a landmark is dragged

  /** @param saver of saver.js, which has the landmarks */
  constructor(saver) {
    this.saver = saver;
    this.#shown = saver.mine;
    this.selected = nextOpen(saver.mine, null) ?? saver.mine[0]?.name ?? null;
  }

  /** As they are shown, with the one that is dragged. */
  get landmarks() {
    const { mine } = this.saver;
    return this.#dragged ? withMark(mine, this.#dragged.name, this.#dragged) : mine;
  }

  /** The selected landmark, null where there are none. */
  get current() {
    return this.landmark(this.selected);
  }

  /** Whether the selected landmark is to be placed. */
  get isOpen() {
    return this.current !== null && this.current.position === null && !this.current.missing;
  }

  landmark(name) {
    return this.landmarks.find((one) => one.name === name) ?? null;
  }

  /** Names in the order in which they are shown. */
  get names() {
    return ordered(this.landmarks, this.order);
  }

  /** The name `step` places after the selected one, around the ends. */
  beside(step) {
    const names = this.names;
    const index = names.indexOf(this.selected);
    return names[(index + step + names.length) % names.length] ?? null;
  }

  /** Set a landmark as one step that can be undone; false where nothing changes. */
  set(name, after) {
    this.#dragged = null;
    const { position, missing } = this.landmark(name);
    const before = mark(position, missing);
    if (sameMark(before, after)) {
      return false;
    }
    this.history.push({ name, before, after });
    this.#apply(name, after);
    return true;
  }

  /** Show a landmark somewhere while it is dragged; null ends that. */
  drag(name, position) {
    this.#dragged = position && { name, ...mark(position) };
  }

  undo() {
    const change = this.history.undo();
    return change && this.#step(change.name, change.before);
  }

  redo() {
    const change = this.history.redo();
    return change && this.#step(change.name, change.after);
  }

  /** Mark as done, or as to be done. */
  end(done) {
    this.saver.change(this.saver.mine, done);
  }

  /** The landmark to place after this one. */
  get nextOpen() {
    return nextOpen(this.landmarks, this.selected);
  }

  /** Names that were changed elsewhere since this was asked last; their steps are forgotten. */
  changedElsewhere() {
    const names = differing(this.#shown, this.saver.mine);
    this.#shown = this.saver.mine;
    this.history.forget(names);
    if (this.landmark(this.selected) === null) {
      this.selected = this.landmarks[0]?.name ?? null;
    }
    return names;
  }

  /** A landmark has another name. */
  rename(name, other) {
    this.history.forget(new Set([name]));
    this.#shown = withName(this.#shown, name, other);
    this.selected = this.selected === name ? other : this.selected;
  }

  #step(name, to) {
    this.selected = name;
    this.#apply(name, to);
    return name;
  }

  #apply(name, to) {
    const landmarks = withMark(this.saver.mine, name, to);
    this.#shown = landmarks;
    this.saver.change(landmarks, this.saver.done);
  }
}
