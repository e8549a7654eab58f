// Undo and redo: a change is {name, before, after} of one landmark, so that what others changed stays.

export class History {
  #done = [];
  #undone = [];

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  push(change) {
    this.#done.push(change);
    this.#undone = [];
  }

  /** The change to take back, or null. */
  undo() {
    const change = this.#done.pop() ?? null;
    if (change) {
      this.#undone.push(change);
    }
    return change;
  }

  /** The change to make again, or null. */
  redo() {
    const change = this.#undone.pop() ?? null;
    if (change) {
      this.#done.push(change);
    }
    return change;
  }

  /** Drop changes of landmarks that were set elsewhere. */
  forget(names) {
    const others = (change) => !names.has(change.name);
    this.#done = this.#done.filter(others);
    this.#undone = this.#undone.filter(others);
  }
}
