/** What keys change, and which of them belong to a control. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { changesFor, isForControl } from "../../../../groundviz/render/viewer/static/page/keyboard.js";
import { STATE } from "../../../../groundviz/render/viewer/static/page/state.js";

const CHOICES = { methods: ["attention", "occlusion"], heads: 4, record: { known: [{}, {}] } };
const START = { ...STATE, method: "attention" };

/** The state after some keys. */
function after(keys, start = START) {
  let state = start;
  for (const key of keys) state = { ...state, ...changesFor(key, state, CHOICES) };
  return state;
}

test("each switch goes on and off again", () => {
  for (const [key, name] of [["d", "difference"], ["s", "smooth"], ["k", "sinks"], ["i", "invert"]]) {
    assert.equal(after([key])[name], !START[name], key);
    assert.equal(after([key, key])[name], START[name], key);
  }
});

test("each tool goes back to moving", () => {
  assert.deepEqual(["w", "b"].map((key) => after([key]).tool), ["window", "box"]);
  assert.equal(after(["w", "b"]).tool, "box");
  assert.deepEqual(["ww", "bb"].map((keys) => after(keys).tool), ["pan", "pan"]);
});

test("colours and outline take turns, and never both are gone", () => {
  const seen = ["", "c", "cc", "ccc"].map((keys) => after(keys)).map(({ fill, contour }) => [fill, contour]);
  assert.deepEqual(seen, [[true, true], [false, true], [true, false], [true, true]]);
});

test("opacity, threshold, scale and reference come round", () => {
  const round = (key, name, times) => Array.from({ length: times }, (_, i) => after(key.repeat(i + 1))[name]);
  assert.deepEqual(round("o", "opacity", 5), [1, 0, 0.25, 0.5, 0.85]);
  assert.deepEqual(round("t", "threshold", 4), [0.25, 0.5, 0.75, 0]);
  assert.deepEqual(round("n", "norm", 5), ["linear", "log", "each", "mass", "root"]);
  assert.deepEqual(round("g", "known", 3), [0, 1, -1]);
});

test("the next method begins with all its layers and heads, and heads end at their ends", () => {
  const { method, layer, head } = after("m", { ...START, layer: 2, head: 1 });
  assert.deepEqual([method, layer, head], ["occlusion", -1, -1]);
  assert.equal(after("[").head, -1);
  assert.equal(after("]]]]]]").head, 3);
});

test("other keys change nothing in the state", () => {
  for (const key of ["x", "Home", "Escape", "p", "constructor", "toString"]) {
    assert.equal(changesFor(key, START, CHOICES), null, key);
  }
});

test("a control keeps the keys that it needs", () => {
  assert.ok(isForControl("SELECT", "m"));
  assert.ok(!isForControl("SELECT", "Escape"));
  for (const key of ["ArrowLeft", "ArrowUp", "Home", "End", "PageUp", " ", "Tab"]) {
    assert.ok(isForControl("INPUT", key), key);
    assert.ok(!isForControl("SPAN", key), key);
  }
  assert.ok(!isForControl("INPUT", "m"));
});
