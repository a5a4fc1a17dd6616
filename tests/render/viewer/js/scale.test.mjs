/** Scales and colours of simple values; tests/render/viewer/test_node.py holds them against Python's. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  colourBar, colouredCells, coloursFor, curveOf, extentOf, isFlat, isSmall, joined, position, ruleOf, scaleOver,
  strength, summitOf, ticksOf,
} from "../../../../groundviz/render/viewer/static/data/scale.js";

const GREYS = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
const MAP = { rows: 2, cols: 2, least: 0 };
const extent = (values, { label = "“a”", ...more } = {}) =>
  extentOf(Float32Array.from(values), { ...MAP, ...more }, label);
const scale = (values, curve = "root", signed = false) => scaleOver(extent(values), curve, signed);

test("a scale without evidence is none", () => {
  assert.equal(scale([2, 2, NaN]), null);
  assert.equal(scale([NaN]), null);
  assert.equal(scaleOver(joined([]), "root", false), null);
  assert.ok(isFlat([Float32Array.of(2, NaN), Float32Array.of(2)]));
  assert.ok(isFlat([Float32Array.of(1, 1 + 2 ** -23)]));
  assert.ok(!isFlat([Float32Array.of(2), Float32Array.of(3)]));
});

test("a scale ends at the largest value, and nothing is clipped", () => {
  const values = Float32Array.from({ length: 201 }, (_, i) => (i === 200 ? 1000 : i));
  const found = scale(values, "linear");
  assert.deepEqual([found.top, found.highest, found.over], [1000, 1000, "map"]);
  assert.equal(position(500, found), 0.5);
});

test("colours follow the root, the value or its logarithm", () => {
  const at = (curve) => [0, 0.0625, 6.25, 25, 100].map((value) => position(value, scale([0, 100], curve)));
  assert.deepEqual(at("root"), [0, 0.025, 0.25, 0.5, 1]);
  assert.deepEqual(at("linear"), [0, 0.000625, 0.0625, 0.25, 1]);
  const log = scale([0, 1000], "log");
  assert.deepEqual([0, 0.5, 1, 10, 100, 1000].map((value) => Math.round(300 * position(value, log))),
    [0, 0, 0, 100, 200, 300]);
  assert.ok(Number.isNaN(position(NaN, log)));
  assert.deepEqual(["root", "linear", "log", "each", "mass"].map(curveOf), ["root", "linear", "log", "root", "root"]);
});

test("a signed scale has zero in the middle", () => {
  const found = scale([-4, 1, 2], "linear", true);
  assert.equal(found.top, 4);
  assert.deepEqual([-8, -4, 0, 2].map((value) => strength(value, found)), [1, 1, 0, 0.5]);
  assert.deepEqual([-4, 0, 2, 9].map((value) => position(value, found)), [0, 0.5, 0.75, 1]);
  assert.deepEqual([-4, 2].map((value) => strength(value, { ...found, signed: false })), [0, 0.5]);
});

test("one scale for several maps ends at the largest of them, and says whose that is and where", () => {
  const weak = extent([0, 1, 0, 0]);
  const strong = extent([0, 0, -3, 1], { label: "“b”" });
  const flat = extent([9, 9, 9, 9], { label: "“c”" });
  const found = scaleOver(joined([weak, strong, flat]), "root", true);
  assert.equal(found.top, 3);
  assert.equal(ruleOf(found), "square root of the value, ± the highest, one scale for all maps of this unit");
  assert.equal(summitOf(found), "strongest −3 for “b” at row 2, column 1");
  assert.equal(summitOf(scaleOver(weak, "root", false)), "highest 1 at row 1, column 2");
  const tile = extent([0, 1, 0, 0], { place: "tile 2 of 3" });
  assert.equal(summitOf(scaleOver(tile, "root", false)), "highest 1 at row 1, column 2 of tile 2 of 3");
});

test("what is small is not stretched, and its rule says so", () => {
  const found = scaleOver(extent([0, 0.001, 0, 0], { least: 0.01 }), "linear", false);
  assert.ok(isSmall(found));
  assert.deepEqual([found.top, Math.round(100 * position(0.001, found)) / 100], [0.01, 0.1]);
  assert.equal(ruleOf(found), "the value, up to 0.01, for the highest is under that");
  assert.ok(!isSmall(scaleOver(extent([0, 0.02, 0, 0], { least: 0.01 }), "linear", false)));
});

test("ticks begin with the ends", () => {
  const values = (...given) => ticksOf(scale(...given)).map(([, value]) => value);
  const places = (...given) => ticksOf(scale(...given)).map(([at]) => Math.round(1000 * at));
  assert.deepEqual(values([0, 8]), [0, 8, 2, 4]);
  assert.deepEqual(places([0, 8]), [0, 1000, 500, 707]);
  assert.deepEqual(values([0, -8], "root", true), [-8, 8, 0, -2, 2]);
  assert.deepEqual(places([0, -8], "root", true), [0, 1000, 500, 250, 750]);
  assert.deepEqual(places([0, 8], "log"), [0, 1000, 667, 333]);
});

test("colours are as opaque as values are strong, and weak or missing values have none", () => {
  const cells = Float32Array.of(0, 2, 4, NaN, 1);
  const found = [...colouredCells(cells, scale([0, 4], "linear"), GREYS, { opacity: 0.5, threshold: 0.3 })];
  assert.deepEqual(found, [0, 0, 0, 0, 128, 128, 128, 64, 255, 255, 255, 128, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("a wish for colours counts where it fits the sign", () => {
  const record = { kinds: [["inferno"], ["managua"]], colours: { inferno: "i", managua: "m" } };
  assert.equal(coloursFor(record, { signed: false }, "managua"), "i");
  assert.equal(coloursFor(record, { signed: true }, "managua"), "m");
});

test("a bar shows its colours over mid-grey, and nothing of them at zero or below the threshold", () => {
  const state = { opacity: 1, threshold: 0.5 };
  const at = (signed, i) => [...colourBar(GREYS, { signed }, state)].slice(4 * i, 4 * i + 4);
  assert.deepEqual(at(false, 100), [128, 128, 128, 255]);
  assert.deepEqual(at(false, 255), [255, 255, 255, 255]);
  assert.deepEqual(at(true, 0), [0, 0, 0, 255]);
  assert.deepEqual(at(true, 127), [128, 128, 128, 255]);
});
