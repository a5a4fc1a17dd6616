/** Cells, and lines around them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  cellAt, cellName, cellsInBox, cellsInOutline, middleOf, valueRuns,
} from "../../../../groundviz/render/viewer/static/data/cells.js";
import { edges, finer, isolines } from "../../../../groundviz/render/viewer/static/data/lines.js";
import { sinksOf, without } from "../../../../groundviz/render/viewer/static/data/maps.js";

/** Two rows of three cells, 10 by 20 pixels each, from (100, 50) on; the last cell holds no value. */
const map = () => ({
  rows: 2, cols: 3, count: 6, dy: 10, dx: 20, top: 100, left: 50,
  cells: Uint8Array.of(0, 1, 2, 3, 4, 255), inside: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 51, 0, 255, 0, 255),
});

test("a place lies in a cell, or in none", () => {
  assert.deepEqual(cellAt(map(), { x: 50, y: 100 }), [[0, 1]]);
  assert.deepEqual(cellAt(map(), { x: 109.9, y: 119.9 }), []);
  assert.deepEqual(cellAt(map(), { x: 89.9, y: 119.9 }), [[4, 1]]);
  for (const place of [{ x: 49, y: 105 }, { x: 111, y: 105 }, { x: 60, y: 99 }, { x: 60, y: 121 }]) {
    assert.deepEqual(cellAt(map(), place), []);
  }
  assert.deepEqual(cellAt(map(), middleOf(map(), 1, 0)), [[3, 1]]);
  assert.equal(cellName(map(), 4), "row 2 of 2, column 2 of 3");
});

test("a box holds parts of cells", () => {
  const found = cellsInBox(map(), { x0: 60, y0: 105, x1: 75, y1: 120 });
  assert.deepEqual(found, [[0, 0.25], [1, 0.125], [3, 0.5], [4, 0.25]]);
  assert.deepEqual(cellsInBox(map(), { x0: 0, y0: 0, x1: 10, y1: 10 }), []);
  assert.equal(cellsInBox(map(), { x0: 0, y0: 0, x1: 999, y1: 999 }).length, 5);
});

test("an outline holds the share of each cell that was measured", () => {
  assert.deepEqual(cellsInOutline(map(), 0), []);
  assert.deepEqual(cellsInOutline(map(), 1), [[1, 0.2], [3, 1]]);
  assert.deepEqual(valueRuns(map()), [[0, 0, 3], [1, 0, 2]]);
});

test("edges go around strong cells", () => {
  assert.equal(edges([true], 1, 1).length, 4);
  assert.equal(edges([true, true], 1, 2).length, 6);
  assert.deepEqual(edges([false, false], 1, 2), []);
});

test("a line crosses halfway between a low and a high cell", () => {
  const lines = isolines(Float32Array.of(0, 1), 1, 2, 0.5);
  assert.ok(lines.length > 0);
  for (const [x0, , x1] of lines) assert.deepEqual([x0, x1], [1, 1]);
});

test("finer values lie between their neighbours and never beyond cells with a value", () => {
  const found = [...finer(Float32Array.of(0, 4, NaN), 1, 3, 2)].slice(0, 6);
  assert.deepEqual(found, [0, 1, 3, 4, NaN, NaN]);
});

test("a cell that is strong for every word is a sink, but of two words none is", () => {
  const strong = (at) => {
    const values = new Float32Array(50);
    values[at] = 1;
    values[7] = 9;
    return values;
  };
  const maps = [strong(1), strong(2), strong(3)];
  assert.deepEqual([...sinksOf({ count: 50, alone: [0, 1, 2] }, maps)], [7]);
  assert.deepEqual([...sinksOf({ count: 50, alone: [0, 1] }, [strong(1), strong(2)])], []);
  assert.deepEqual([...without(Float32Array.of(1, 2), new Set([0]))], [NaN, 2]);
});
