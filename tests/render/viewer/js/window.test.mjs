/** From numbers to grey levels and to words, under a window. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  barLength, levelsOf, reachOf, valueText, windowIn, windowTexts,
} from "../../../../groundviz/render/viewer/static/data/window.js";

const GREY = { top: 4095, read: [1000, 2000], value: { low: -1000, step: 1, unit: "HU", shift: [0, 0] } };

test("a window spreads its numbers from black to white, and what lies outside is clipped", () => {
  const plain = levelsOf(GREY, { level: 0.5, window: 1, invert: false });
  assert.deepEqual([0, 1000, 1500, 2000, 4095].map((at) => plain[at]), [0, 0, 128, 255, 255]);
  const narrow = levelsOf(GREY, { level: 0.5, window: 0.02, invert: true });
  assert.deepEqual([1490, 1501, 1510].map((at) => narrow[at]), [255, 115, 0]);
  const all = levelsOf(GREY, { level: 1.0475, window: 4.095, invert: false });
  assert.deepEqual([0, 4095].map((at) => all[at]), [0, 255]);
});

test("low numbers may be bright, and brightness may bend", () => {
  const inverted = levelsOf({ ...GREY, read: [2000, 1000] }, { level: 0.5, window: 1, invert: false });
  assert.deepEqual([900, 1250, 2100].map((at) => inverted[at]), [255, 191, 0]);
  const bent = levelsOf({ top: 4, read: [0, 4], curve: [0, 0, 1] }, { level: 0.5, window: 1, invert: false });
  assert.deepEqual([...bent], [0, 0, 0, 128, 255]);
});

test("window and value are told in the units of the file", () => {
  assert.deepEqual(windowTexts(GREY, { level: 0.5, window: 0.5 }), ["500", "500"]);
  // As it was given, where DICOM's LINEAR takes half a value and one value off.
  const given = { ...GREY, value: { ...GREY.value, shift: [0.5, 1] } };
  assert.deepEqual(windowTexts(given, { level: 0.5, window: 0.5 }), ["500.5", "501"]);
  assert.deepEqual(windowTexts({ window: [40, 400] }, { level: 0.25, window: 0.5 }), ["−60", "200"]);
  assert.deepEqual(windowTexts({}, { level: 0.5, window: 1 }), ["50 %", "100 %"]);
  assert.equal(valueText(GREY, { numbers: [20], over: 1 }), "−980 HU");
  assert.equal(valueText({ ...GREY, value: { low: 0, step: 1, unit: "" } }, { numbers: [20], over: 2 }),
    "stored value 20, mean of 2 × 2 pixels");
  assert.equal(valueText({ top: 255 }, { numbers: [1, 2, 3], over: 1 }), "red 1, green 2, blue 3");
  const { low, high, width } = reachOf(GREY);
  assert.deepEqual([low, high, width.toFixed(6)], [-1, 3.095, "4.095000"]);
});

test("a bar is a round length and no longer than there is room", () => {
  assert.deepEqual(barLength(0.5, 250), { length: 100, pixels: 200 });
  assert.deepEqual(barLength(0.1, 90), { length: 5, pixels: 50 });
});

test("a window is carried over to an image that counts the same, and to no other", () => {
  const other = { top: 4095, read: [900, 1300], value: { low: -1000, step: 2, unit: "HU", shift: [0, 0] } };
  const state = { level: -0.6, window: 1.5, invert: true };
  const found = windowIn(other, GREY, state);
  assert.deepEqual(windowTexts(other, found), windowTexts(GREY, state));
  assert.equal(found.invert, true);
  // As they were read, each has its own.
  const asRead = { level: 0.5, window: 1, invert: false };
  assert.deepEqual(windowIn(other, GREY, asRead), asRead);
  const unitless = { ...other.value, unit: "" };
  for (const changes of [{ value: null }, { value: unitless }, { curve: [0, 1] }]) {
    assert.equal(windowIn({ ...other, ...changes }, GREY, state), state);
  }
});
