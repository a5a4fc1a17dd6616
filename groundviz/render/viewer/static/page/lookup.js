/** The values of each token at a place, in a box, or inside a known outline. */

import { cellAt, cellsInBox, cellsInOutline } from "../data/cells.js";
import { combined } from "../data/maps.js";

/** The cells of a map that are looked up, each as [index, share]. */
function cellsOf(map, { spot, box, known }) {
  if (spot) return cellAt(map, spot);
  return box ? cellsInBox(map, box) : cellsInOutline(map, known);
}

/** What is looked up: a place goes before a box, and a box before an outline. */
function wanted(viewer) {
  const { pointer, record, state } = viewer;
  const spot = pointer.spot ?? (pointer.drawing ? null : pointer.kept);
  if (spot) return { spot, area: spot };
  if (pointer.box) return { box: pointer.box, area: pointer.box };
  return { known: state.known, area: record.known[state.known] };
}

/**
 * A value for each token in the first pane's method: the mean over the cells that are looked up.
 *
 * @returns {?object} null where nothing is looked up, or no map lies there
 */
export function lookup(viewer) {
  const wish = wanted(viewer);
  if (!wish.area) return null;
  // Where tiles lie over each other, the last one is on top.
  for (const map of viewer.drawn(viewer.state.method, wish.area.image).reverse()) {
    const maps = viewer.valuesOf(map);
    if (typeof maps === "string") return null;
    const weights = cellsOf(map, wish);
    if (weights.length) return reading(viewer, map, maps, weights, wish);
  }
  return null;
}

function reading(viewer, map, maps, weights, { spot, box, area }) {
  const size = weights.reduce((total, [, weight]) => total + weight, 0);
  const mean = (values) => weights.reduce((total, [at, weight]) => total + values[at] * weight, 0) / size;
  const values = new Map();
  for (const [token, at] of map.singles) {
    if (viewer.words.chips.has(token)) values.set(token, mean(maps[at]));
  }
  const shown = combined(map, maps, viewer.words.chosen);
  const value = shown ? mean(shown) : NaN;
  return { map, weights, size, values, shown, value, spot, known: spot || box ? null : area };
}
