import assert from "node:assert/strict";
import test from "node:test";

import { wrapped } from "../../../../groundviz/render/viewer/static/page/pen.js";

const wide = (text) => [...text].length;

test("lines hold what fits, and no word is lost", () => {
  assert.deepEqual(wrapped("nodule in the left", 9, wide), ["nodule in", "the left"]);
  assert.deepEqual(wrapped("", 9, wide), [""]);
  const text = "a report with words of many lengths, which is wrapped";
  for (let width = 8; width < 60; width++) {
    const lines = wrapped(text, width, wide);
    assert.equal(lines.join(" "), text);
    assert.ok(lines.every((line) => wide(line) <= width));
  }
});

test("a word that is wider than a line is broken, lines of the text stay, and numbers keep their sign", () => {
  assert.deepEqual(wrapped("右上肺野に結節", 3, wide), ["右上肺", "野に結", "節"]);
  assert.deepEqual(wrapped("one\ntwo", 9, wide), ["one", "two"]);
  assert.deepEqual(wrapped("half 50 %", 7, wide), ["half", "50\u00a0%"]);
});
