import assert from "node:assert/strict";
import { test } from "node:test";

import { mark, withMark } from "../../../../pin_lightning/annotation/page/logic/landmarks.js";
import { Saver } from "../../../../pin_lightning/annotation/page/logic/saver.js";
import { Workspace } from "../../../../pin_lightning/annotation/page/logic/workspace.js";

const point = (name, place) => ({ name, position: place, predicted: null, missing: false });
const START = [point("a", [0, 0, 0]), point("b", [1, 1, 1])];
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A saver, and its server, which has `volume`, and to whose names some may be `added`. */
function opened() {
  const server = { volume: { id: "v", name: "V", version: 3, state: "in_work", done: false, landmarks: START }, added: [] };
  const send = async (_, version, { landmarks }) => {
    if (version !== server.volume.version) {
      throw Object.assign(new Error("another version"), { status: 409, body: server.volume });
    }
    const known = new Set(server.volume.landmarks.map((one) => one.name));
    const strange = landmarks.find((one) => !known.has(one.name));
    if (strange) {
      throw Object.assign(new Error(`there is no landmark ${strange.name}`), { status: 422 });
    }
    server.volume = { ...server.volume, version: version + 1, landmarks };
    return { version: version + 1, state: "in_work" };
  };
  const timers = [];
  const clock = { set: (callback) => timers.push(callback), clear: () => {} };
  const drafts = { keep: () => true, drop: () => {} };
  const read = async () => ({ ...server.volume, landmarks: [...server.volume.landmarks, ...server.added] });
  const saver = new Saver({ volume: server.volume, send, read, drafts, clock, takeSeconds: () => 0, notify: () => {} });
  return { server, saver };
}

test("what is not saved yet takes part in a new name, and is saved without a question", async () => {
  for (const told of [true, false]) {
    const { server, saver } = opened();
    const workspace = new Workspace(saver);
    workspace.selected = "b";
    workspace.set("b", mark([5, 5, 5]));
    const landmarks = START.map((one) => (one.name === "b" ? { ...one, name: "c" } : one));
    server.volume = { ...server.volume, version: 4, landmarks };
    if (!told) {
      await saver.flush(); // the server says it before the event does
      assert.equal(saver.status, "conflict");
    }
    workspace.rename("b", "c");
    saver.rename("b", "c");
    assert.equal(workspace.selected, "c");
    await saver.heard(4);
    await saver.flush();
    await settled();
    assert.equal(saver.status, "saved");
    assert.deepEqual(server.volume.landmarks.map((one) => [one.name, one.position]), [["a", [0, 0, 0]], ["c", [5, 5, 5]]]);
    assert.equal(saver.version, 5);
    assert.equal(workspace.undo() ?? null, null); // of a name that is gone
  }
});

test("a landmark that was added elsewhere is there, also after what was not saved yet", async () => {
  for (const isChanged of [false, true]) {
    const { server, saver } = opened();
    if (isChanged) {
      saver.change(withMark(START, "a", mark([2, 2, 2])), false);
    }
    server.added = [point("c", null)];
    await saver.heard(3, true);
    assert.equal(saver.status, isChanged ? "waiting" : "saved");
    await saver.flush();
    await settled();
    assert.deepEqual(saver.mine.map((one) => one.name), ["a", "b", "c"]);
    assert.deepEqual(saver.mine[0].position, isChanged ? [2, 2, 2] : [0, 0, 0]);
  }
});
