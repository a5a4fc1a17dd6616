/** Numbers as a reader sees them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  centreWithin, nextOf, percent, printed, same,
} from "../../../../groundviz/render/viewer/static/data/numbers.js";

test("numbers have a true minus sign and powers of ten", () => {
  const cases = [
    [0, "0"], [0.5, "0.5"], [-0.25, "−0.25"], [1234.5678, "1230"], [0.000012345, "1.23 × 10⁻⁵"],
    [-2e-7, "−2 × 10⁻⁷"], [1.5e21, "1.5 × 10²¹"], [NaN, "–"], [Infinity, "–"],
  ];
  for (const [value, text] of cases) assert.equal(printed(value), text);
  assert.equal(printed(0.123456, 2), "0.12");
});

test("a share is in percent, and a small one keeps two digits", () => {
  const texts = [0, 0.004567, 0.0999, 0.1, 0.456, 1].map(percent);
  assert.deepEqual(texts, ["0 %", "0.46 %", "10 %", "10 %", "46 %", "100 %"]);
});

test("a view never shows what lies beside the image", () => {
  assert.equal(centreWithin(0, 1), 0.5);
  assert.equal(centreWithin(0, 0.25), 0.125);
  assert.equal(centreWithin(0.9, 0.5), 0.75);
  assert.equal(centreWithin(0.4, 0.5), 0.4);
});

test("behind the last comes the first, and so it does behind what is not there", () => {
  assert.deepEqual(["a", "b", "c"].map((one) => nextOf(["a", "b"], one)), ["b", "a", "a"]);
  assert.ok(same([1, 2], [1, 2]));
  assert.ok(!same([1, 2], [2, 1]));
  assert.ok(!same([1], [1, 2]));
});
