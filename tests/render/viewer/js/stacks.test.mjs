/** Which slices are shown, how a wheel turns them, and which share of a map lies on each. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { massOf, sharesOf } from "../../../../groundviz/render/viewer/static/data/mass.js";
import {
  areAlike, shownIn, stackOf, stepsOf, withSlice,
} from "../../../../groundviz/render/viewer/static/data/stacks.js";

const FIRST = { images: [0, 1, 2], start: 1 };
const SECOND = { images: [4, 5], start: 4 };
const RECORD = { stacks: [FIRST, { images: [3], start: 3 }, SECOND] };

test("each stack shows the slice that was chosen in it, and else the one it opens on", () => {
  assert.equal(stackOf(RECORD, 5), SECOND);
  assert.equal(stackOf(RECORD, 9), undefined);
  assert.deepEqual(RECORD.stacks.map((stack) => shownIn(stack, [])), [1, 3, 4]);
  const chosen = withSlice(SECOND, withSlice(FIRST, withSlice(FIRST, [], 2), 0), 5);
  assert.deepEqual(RECORD.stacks.map((stack) => shownIn(stack, chosen)), [0, 3, 5]);
  assert.deepEqual(chosen, [0, 5]);
});

test("a notch is a slice, pixels gather to one, and a strong turn is several", () => {
  assert.deepEqual([100, -120, 53, 480].map((pixels) => stepsOf(pixels)[0]), [1, -1, 1, 5]);
  let [left, steps] = [0, 0];
  for (let i = 0; i < 50; i++) {
    const [more, rest] = stepsOf(left + 4);
    left = rest;
    steps += more;
  }
  assert.equal(steps, 5);
});

test("shares add up to one, magnitudes count, and what is not known says so", () => {
  const mass = (...arrays) => massOf(arrays.map((one) => Float32Array.from(one)));
  const masses = [mass([1, -2]), mass([NaN, 3], [2]), mass([0])];
  assert.deepEqual(masses, [3, 5, 0]);
  assert.deepEqual(sharesOf(masses), [3 / 8, 5 / 8, 0]);
  assert.equal(sharesOf([1, NaN]), null);
  assert.equal(sharesOf([0, 0]), null);
});

test("stacks are linked where their slices lie at the same places", () => {
  const slices = (...places) => ({ images: places.map((place, at) => ({ number: at + 1, place })) });
  assert.ok(areAlike(slices("H 0.0 mm", "H 5.0 mm"), slices("H 0.0 mm", "H 5.0 mm")));
  assert.ok(!areAlike(slices("H 0.0 mm", "H 5.0 mm"), slices("H 0.0 mm", "H 4.0 mm")));
  assert.ok(!areAlike(slices("", ""), slices("")));
});
