import assert from "node:assert/strict";
import { test } from "node:test";

import { Drafts } from "../../../../pin_lightning/annotation/page/logic/drafts.js";
import { mark, withMark } from "../../../../pin_lightning/annotation/page/logic/landmarks.js";
import { Saver } from "../../../../pin_lightning/annotation/page/logic/saver.js";

const START = ["a", "b"].map((name) => ({ name, position: [0, 0, 0], predicted: [0, 0, 0], missing: false }));
const settled = () => new Promise((resolve) => setImmediate(resolve));

class Storage extends Map {
  get length() {
    return this.size;
  }
  key = (index) => [...this.keys()][index];
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => this.set(key, value);
  removeItem = (key) => this.delete(key);
}

/** A server that refuses other versions, and may be away or answer nothing though it saved. */
class Server {
  volume = { id: "v", name: "V", version: 0, state: "predicted", done: false, landmarks: START };
  mood = "well";
  puts = 0;
  send = async (_, version, { landmarks, done }) => {
    this.puts++;
    if (this.mood === "away") {
      throw new TypeError("Failed to fetch");
    }
    if (this.mood === "full") {
      throw Object.assign(new Error("too large"), { status: 413 });
    }
    if (version !== this.volume.version) {
      throw Object.assign(new Error("another version"), { status: 409, body: this.volume });
    }
    this.save(landmarks, done);
    if (this.mood === "mute") {
      throw new TypeError("Failed to fetch");
    }
    return { version: this.volume.version, state: this.volume.state };
  };
  read = async () => this.volume;
  save(landmarks, done = false) {
    const state = done ? "corrected" : "in_work";
    this.volume = { ...this.volume, version: this.volume.version + 1, state, done, landmarks };
  }
}

function opened(server = new Server(), drafts = new Drafts(new Storage(), "folder")) {
  const waiting = [];
  const clock = { set: (callback) => (waiting.push(callback), callback), clear: (one) => waiting.includes(one) && waiting.splice(waiting.indexOf(one), 1) };
  const states = [];
  const notify = (one) => states.push(one.status);
  const { send, read, volume } = server;
  const saver = new Saver({ volume, send, read, drafts, clock, takeSeconds: () => 1, notify });
  const tick = async () => {
    waiting.splice(0).forEach((callback) => callback());
    await settled();
  };
  return { saver, server, drafts, tick, states };
}

const moved = (landmarks, name, x) => withMark(landmarks, name, mark([x, 0, 0]));

test("many changes at once are one save, and a draft until then", async () => {
  const { saver, server, drafts, tick, states } = opened();
  saver.change(moved(saver.mine, "a", 1), false);
  saver.change(moved(saver.mine, "a", 2), false);
  assert.equal(drafts.read("v").landmarks[0].position[0], 2);
  assert.ok(saver.unsaved);
  await tick();
  assert.deepEqual(states, ["waiting", "waiting", "saving", "saved"]);
  assert.deepEqual([server.puts, saver.version, server.volume.landmarks[0].position[0]], [1, 1, 2]);
  assert.deepEqual(drafts.ids(), []);
});

test("what is taken back before it is sent is not sent", async () => {
  const { saver, server, tick } = opened();
  saver.change(moved(saver.mine, "a", 1), false);
  saver.change(START, false);
  await tick();
  assert.deepEqual([server.puts, saver.status], [0, "saved"]);
});

test("a change during a save follows it", async () => {
  const { saver, server, tick } = opened();
  saver.change(moved(saver.mine, "a", 1), false);
  const first = saver.flush();
  saver.change(moved(saver.mine, "b", 3), false);
  await first;
  assert.equal(saver.status, "waiting");
  await tick();
  assert.deepEqual(server.volume.landmarks.map((one) => one.position[0]), [1, 3]);
  assert.equal(saver.version, 2);
});

test("it is tried again while the server is away, and the draft stays", async () => {
  const { saver, server, drafts, tick } = opened();
  server.mood = "away";
  saver.change(moved(saver.mine, "a", 1), true);
  await tick();
  await tick();
  assert.deepEqual([saver.status, server.puts, drafts.ids().length], ["away", 2, 1]);
  server.mood = "well";
  await tick();
  assert.deepEqual([saver.status, saver.state], ["saved", "corrected"]);
});

test("a save whose answer was lost is no conflict", async () => {
  const { saver, server, tick } = opened();
  server.mood = "mute";
  saver.change(moved(saver.mine, "a", 1), false);
  await tick();
  server.mood = "well";
  saver.change(moved(saver.mine, "b", 5), false);
  await tick();
  assert.equal(saver.status, "waiting");
  await tick();
  assert.deepEqual([saver.status, saver.version], ["saved", 2]);
  assert.deepEqual(server.volume.landmarks.map((one) => one.position[0]), [1, 5]);
});

for (const [choice, expected] of [["mine", [1, 0]], ["theirs", [0, 9]], ["both", [1, 9]]]) {
  test(`a conflict is told, and ${choice} is kept`, async () => {
    const { saver, server, tick } = opened();
    server.save(moved(START, "b", 9));
    saver.change(moved(saver.mine, "a", 1), false);
    await tick();
    assert.equal(saver.status, "conflict");
    assert.deepEqual([...saver.comparison().theirs], ["b"]);
    await saver.resolve(choice);
    assert.equal(saver.status, "saved");
    assert.deepEqual(saver.mine.map((one) => one.position[0]), expected);
    assert.deepEqual(server.volume.landmarks.map((one) => one.position[0]), expected);
  });
}

test("what was changed elsewhere is taken where nothing is unsaved", async () => {
  const { saver, server } = opened();
  server.save(moved(START, "b", 9));
  await saver.heard(1);
  assert.deepEqual([saver.version, saver.mine[1].position[0], saver.status], [1, 9, "saved"]);
  saver.change(moved(saver.mine, "a", 1), false);
  server.save(moved(server.volume.landmarks, "b", 7));
  await saver.heard(2);
  assert.equal(saver.status, "conflict");
});

test("a save that is refused says why, and the next change is tried", async () => {
  const { saver, server, tick, drafts } = opened();
  server.mood = "full";
  saver.change(moved(saver.mine, "a", 1), false);
  await tick();
  assert.deepEqual([saver.status, saver.message, drafts.ids().length], ["refused", "too large", 1]);
  server.mood = "well";
  saver.change(moved(saver.mine, "a", 2), false);
  await tick();
  assert.equal(saver.status, "saved");
});

test("a draft of this version is saved, one of another version is a conflict", async () => {
  const first = opened();
  first.server.mood = "away";
  first.saver.change(moved(START, "a", 4), false);
  await first.tick();
  first.server.mood = "well";
  const second = opened(first.server, first.drafts);
  second.saver.restore(first.drafts.read("v"));
  await second.tick();
  assert.equal(first.server.volume.landmarks[0].position[0], 4);

  first.drafts.keep("v", { version: 0, landmarks: moved(START, "a", 6), base: START, done: false, baseDone: false });
  const third = opened(first.server, first.drafts);
  third.saver.restore(first.drafts.read("v"));
  assert.deepEqual([third.saver.status, ...third.saver.comparison().both], ["conflict", "a"]);
});

test("a storage that is full or broken keeps the page working", () => {
  const broken = { setItem: () => { throw new Error("quota"); }, getItem: () => "{", removeItem: () => { throw new Error(); } };
  const drafts = new Drafts(broken, "folder");
  assert.equal(drafts.keep("v", {}), false);
  assert.equal(drafts.read("v"), null);
  drafts.drop("v");
});

test("a prediction that arrives is taken up, and seconds of a failed save are not lost", async () => {
  const { saver, server, tick } = opened();
  server.volume = { ...server.volume, state: "predicted", frames: {}, landmarks: moved(START, "a", 2) };
  await saver.heard(0);
  assert.equal(saver.mine[0].position[0], 0);
  await saver.heard(0, true);
  assert.deepEqual([saver.mine[0].position[0], saver.volume.frames], [2, {}]);
  server.volume = { ...server.volume, prediction: 2, landmarks: moved(START, "a", 2.5) };
  await saver.heard(0, true); // anew, though the state is the same
  assert.deepEqual([saver.mine[0].position[0], saver.prediction], [2.5, 2]);
  const asked = [];
  const { send } = server;
  saver.send = (id, version, body) => {
    asked.push(body.seconds);
    return send(id, version, body);
  };
  server.mood = "away";
  saver.change(moved(saver.mine, "a", 3), false);
  await tick();
  server.mood = "well";
  await tick();
  assert.deepEqual(asked, [1, 2]);
});
