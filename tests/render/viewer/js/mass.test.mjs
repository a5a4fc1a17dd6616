/** The fewest cells that hold a share of a map; tests/render/viewer/test_node.py holds them against Python's. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { halfOf, heaviest } from "../../../../groundviz/render/viewer/static/data/mass.js";

const cells = (values, share) =>
  heaviest(Float32Array.from(values), share).flatMap((inside, at) => (inside ? [at] : []));

test("the fewest cells hold half, whatever their sign", () => {
  assert.deepEqual(cells([0.1, -5, 1, 3], 0.5), [1]);
  assert.deepEqual(cells([0.1, -5, 1, 3], 0.6), [1, 3]);
  assert.deepEqual(cells([0, 0, 2, 0], 1), [2]);
});

test("cells as heavy as the last one that is needed count, too", () => {
  assert.deepEqual(cells([1, 4, 1, 1, 1], 0.6), [0, 1, 2, 3, 4]);
  assert.deepEqual(cells([2, 2, 2], 0.5), [0, 1, 2]);
});

test("cells without a value hold nothing, and a map of zeros has none", () => {
  assert.deepEqual(cells([NaN, 1, Infinity, 3], 0.5), [3]);
  assert.deepEqual(cells([0, 0], 0.5), []);
  assert.deepEqual(cells([NaN], 0.9), []);
});

test("half of several maps is told by its cells", () => {
  assert.deepEqual(halfOf([Float32Array.of(5, 1, NaN), Float32Array.of(1, 1)]), { half: 3, all: 4 });
});
