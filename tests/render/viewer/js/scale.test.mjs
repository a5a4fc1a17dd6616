/** Scales and colours of simple values; tests/render/viewer/test_node.py holds them against Python's. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  colourBar, colouredCells, coloursFor, isFlat, position, scaleOver, strength, windowCurve,
} from "../../../../groundviz/render/viewer/static/data/scale.js";

const GREYS = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

test("a scale without evidence is none", () => {
  assert.equal(scaleOver([Float32Array.of(2, 2, NaN)], false, true), null);
  assert.equal(scaleOver([Float32Array.of(NaN)], true, true), null);
  assert.equal(scaleOver([], false, false), null);
  assert.ok(isFlat([Float32Array.of(2, NaN), Float32Array.of(2)]));
  assert.ok(!isFlat([Float32Array.of(2), Float32Array.of(3)]));
});

test("a few high values do not darken the rest", () => {
  const values = Float32Array.from({ length: 201 }, (_, i) => (i === 200 ? 1000 : i));
  assert.deepEqual(scaleOver([values], false, true), { low: 0, high: 198, clipped: true, signed: false });
  assert.deepEqual(scaleOver([values], false, false), { low: 0, high: 1000, clipped: false, signed: false });
});

test("a signed scale has zero in the middle", () => {
  const scale = scaleOver([Float32Array.of(-4, 1, 2)], true, false);
  assert.deepEqual([scale.low, scale.high], [-4, 4]);
  assert.deepEqual([-8, -4, 0, 2].map((value) => strength(value, scale)), [-1, -1, 0, 0.5]);
  assert.deepEqual([0, 4, 9].map((value) => position(value, scale)), [0.5, 1, 1]);
});

test("colours are as opaque as values are strong, and weak or missing values have none", () => {
  const scale = { low: 0, high: 4, clipped: false, signed: false };
  const cells = Float32Array.of(0, 2, 4, NaN, 1);
  const found = [...colouredCells(cells, scale, GREYS, { opacity: 0.5, threshold: 0.3 })];
  assert.deepEqual(found, [0, 0, 0, 0, 128, 128, 128, 64, 255, 255, 255, 128, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("a wish for colours counts where it fits the sign", () => {
  const record = { kinds: [["inferno"], ["managua"]], colours: { inferno: "i", managua: "m" } };
  assert.equal(coloursFor(record, { signed: false }, "managua"), "i");
  assert.equal(coloursFor(record, { signed: true }, "managua"), "m");
  assert.deepEqual([...colourBar(GREYS)].slice(4, 12), [1, 1, 1, 255, 2, 2, 2, 255]);
});

test("a window makes its ends black and white", () => {
  const plain = windowCurve({ level: 0.5, window: 1, invert: false });
  assert.deepEqual([...plain], [...Array(256).keys()]);
  const narrow = windowCurve({ level: 0.5, window: 0.2, invert: true });
  assert.deepEqual([narrow[0], narrow[102], narrow[153], narrow[255]], [255, 255, 0, 0]);
});
