import assert from "node:assert/strict";
import { test } from "node:test";

import { doubtText } from "../../../../pin_lightning/annotation/page/views/doubts.js";

const shown = (text, landmarks) => doubtText({ text, landmarks }, (name) => `<${name}>`).flat().filter(Boolean);

test("landmarks that a doubt names are links, whatever they are called", () => {
  assert.deepEqual(shown("look at landmark a", ["a"]), ["look at landmark ", "<a>"]);
  assert.deepEqual(shown("look at landmarks 10, 2, 1 and 12 more", ["10", "2", "1"]), ["look at landmarks ", "<10>", ", ", "<2>", ", ", "<1>", " and 12 more"]);
  assert.deepEqual(shown("pose uncertain", undefined), ["pose uncertain"]);
});
