/** What clicks and keys choose. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  chosenAlone, phrase, selectionOf, stepped, toggled, twinOf,
} from "../../../../groundviz/render/viewer/static/data/phrases.js";

const TEXTS = ["nodule", "in", "the", "left", "up", "per"];
const TOKENS = TEXTS.map((text, at) => ({ text, before: at === 0 || at === 5 ? "" : " " }));
const tokenAt = (at) => (at < 0 ? { text: ["Where", "is"][at + 3], before: " " } : TOKENS[at]);

test("a second click on a word takes it back", () => {
  assert.deepEqual(chosenAlone([], 3), [3]);
  assert.deepEqual(chosenAlone([1, 2], 2), [2]);
  assert.deepEqual(chosenAlone([2], 2), []);
});

test("with Ctrl several words are chosen, of the question or of the answer", () => {
  assert.deepEqual(toggled([4, 10], 2), [2, 4, 10]);
  assert.deepEqual(toggled([2, 4], 4), [2]);
  assert.deepEqual(toggled([2, 4], -3), [-3]);
  assert.deepEqual(toggled([-3, -2], 0), [0]);
});

test("a phrase runs from one word to another, in either order", () => {
  const list = [0, 1, 2, 3, 4];
  assert.deepEqual(phrase(list, 3, 1), [1, 2, 3]);
  assert.deepEqual(phrase([-5, -4, -3], -5, -4), [-5, -4]);
});

test("steps end at the ends of a list", () => {
  assert.equal(stepped([4, 6, 8], 4, 1), 6);
  assert.equal(stepped([4, 6, 8], 8, 1), 8);
  assert.equal(stepped([4, 6, 8], 6, -Infinity), 4);
  assert.equal(stepped([4, 6, 8], 4, Infinity), 8);
});

test("a selection is named by its words, with a gap where words are left out", () => {
  const label = (tokens, parts = []) => selectionOf(tokens, parts, tokenAt).label;
  assert.equal(label([3, 4, 5]), "“left upper”");
  assert.equal(label([5, 0, 2]), "“nodule … the … per”");
  assert.equal(label([-3]), "“Where” (in the question)");
  assert.deepEqual(selectionOf([2, 0], [], tokenAt).tokens, [0, 2]);
});

test("a named part goes by its name, but not a contrast", () => {
  const part = { tokens: [0, 1], label: "the finding", foil: null };
  assert.equal(selectionOf([1, 0], [part], tokenAt), part);
  assert.equal(selectionOf([1, 0], [{ ...part, foil: "effusion" }], tokenAt).label, "“nodule in”");
});

test("a word's twin is the same word, counted in the same order", () => {
  const words = (texts) => ({ token: (at) => ({ text: texts[at] }), listOf: () => [...texts.keys()] });
  const [one, other] = [words(["a", "b", "a"]), words(["b", "a", "c", "a"])];
  assert.deepEqual([0, 1, 2].map((at) => twinOf(at, one, other)), [1, 0, 3]);
  assert.equal(twinOf(2, other, one), null);
});
