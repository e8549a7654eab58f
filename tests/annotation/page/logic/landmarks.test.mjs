import assert from "node:assert/strict";
import { test } from "node:test";

import { History } from "../../../../pin_lightning/annotation/page/logic/history.js";
import { changeOf, mark, nextOpen, ordered, summary, withMark } from "../../../../pin_lightning/annotation/page/logic/landmarks.js";
import { compare, merged } from "../../../../pin_lightning/annotation/page/logic/merge.js";
import { chosen, namesOf, nextToDo, progressText } from "../../../../pin_lightning/annotation/page/logic/volumes.js";
import { WorkTime } from "../../../../pin_lightning/annotation/page/logic/worktime.js";

const one = (name, position, more = {}) => ({
  name,
  position,
  predicted: [0, 0, 0],
  radius_mm: null,
  missing: false,
  reason: "",
  ...more,
});

test("what changed since the prediction", () => {
  assert.deepEqual(changeOf(one("a", [0, 0, 0])), { kind: "same", mm: 0 });
  assert.deepEqual(changeOf(one("a", [0, 3, 4])), { kind: "moved", mm: 5 });
  assert.equal(changeOf(one("a", [0, 3, 4], { predicted: null })).kind, "placed");
  assert.equal(changeOf(one("a", null)).kind, "open");
  const all = [one("a", [0, 3, 4]), one("b", null, { missing: true }), one("c", [0, 0, 0])];
  assert.equal(summary(all), "1 moved (by up to 5.00 mm), 1 missing, 1 as predicted");
});

test("landmarks are replaced, not changed, and a missing one has no position", () => {
  const before = [one("a", [0, 0, 0]), one("b", [1, 1, 1])];
  const after = withMark(before, "b", mark([9, 9, 9], true));
  assert.deepEqual(before[1].position, [1, 1, 1]);
  assert.deepEqual([after[1].position, after[1].missing], [null, true]);
  assert.equal(nextOpen([one("a", null), one("b", null), one("c", [0, 0, 0])], "b"), "a");
  assert.equal(nextOpen([one("a", [0, 0, 0])], "a"), null);
});

test("the widest radius first, and those to be placed before", () => {
  const all = [one("a", [0, 0, 0], { radius_mm: 1 }), one("b", [0, 0, 0], { radius_mm: 3 }), one("c", null)];
  assert.deepEqual(ordered(all, "doubt"), ["c", "b", "a"]);
  assert.deepEqual(ordered(all, "file"), ["a", "b", "c"]);
});

test("undo and redo, of which others' changes are dropped", () => {
  const history = new History();
  history.push({ name: "a", before: 1, after: 2 });
  history.push({ name: "b", before: 3, after: 4 });
  assert.equal(history.undo().name, "b");
  assert.equal(history.redo().name, "b");
  assert.equal(history.redo(), null);
  history.forget(new Set(["b"]));
  assert.equal(history.undo().name, "a");
  assert.equal(history.undo(), null);
  history.push({ name: "c", before: 0, after: 1 });
  assert.equal(history.canRedo, false);
});

test("a merge keeps what each side changed, and names what both did", () => {
  const base = [one("a", [0, 0, 0]), one("b", [0, 0, 0]), one("c", [0, 0, 0])];
  const mine = withMark(withMark(base, "a", mark([1, 0, 0])), "c", mark([1, 0, 0]));
  const theirs = withMark(withMark(base, "b", mark(null, true)), "c", mark([2, 0, 0]));
  const found = compare(base, mine, theirs);
  assert.deepEqual([...found.both], ["c"]);
  assert.deepEqual([...found.theirs], ["b", "c"]);
  const both = merged(base, mine, theirs);
  assert.deepEqual(both.map((each) => each.position), [[1, 0, 0], null, [1, 0, 0]]);
});

test("filters, the next volume, progress and names", () => {
  const volume = (id, state, doubts = []) => ({ id, name: `Scan ${id}`, state, doubts });
  const all = [volume("1", "predicted", [{}]), volume("2", "accepted"), volume("3", "failed")];
  assert.deepEqual(chosen(all, "open").map((each) => each.id), ["1", "3"]);
  assert.deepEqual(chosen(all, "doubtful").map((each) => each.id), ["1"]);
  assert.deepEqual(chosen(all, "all", "SCAN 2").map((each) => each.id), ["2"]);
  assert.equal(nextToDo(all, "1"), "3");
  assert.equal(nextToDo([all[0], all[1]], "1"), null);
  assert.equal(nextToDo([all[0], { ...all[2], readable: false }], "1"), null);
  assert.equal(progressText({ done: 12, total: 40, minutes_left: 6.2 }), "12 of 40 done, about 6 minutes left");
  assert.equal(progressText({ done: 12, total: 40, minutes_left: 0.2 }), "12 of 40 done, less than a minute left");
  assert.equal(progressText({ done: 1, total: 40, minutes_left: 300 }), "1 of 40 done, about 5 hours left");
  assert.equal(progressText({ done: 0, total: 40, minutes_left: null }), "0 of 40 done");
  assert.deepEqual(namesOf(" CSP\nTV, CSP\n\n"), ["CSP", "TV"]);
});

test("time without an action counts for half a minute at most", () => {
  const time = new WorkTime();
  time.act(0);
  time.act(10_000);
  time.act(1_000_000);
  assert.equal(time.take(), 40);
  assert.equal(time.take(), 0);
});
