/** What stands side by side, with its values and its scales. */

import { combined, sinksOf, targetsOf, without } from "../data/maps.js";
import { same } from "../data/numbers.js";
import { isFlat, scaleOver } from "../data/scale.js";
import { subtract } from "./compare.js";
import { element } from "./element.js";
import { MOST_PANES } from "./state.js";

/** What each pane shows, made anew for each drawing. */
export function preparedPanes(viewer) {
  const panes = wantedPanes(viewer).map((pane) => prepared(viewer, pane));
  setScales(viewer, panes);
  for (const pane of panes) if (pane.of) subtract(pane, panes, viewer.state.norm);
  return panes;
}

/** Methods, then words that were pinned, on each image, then the difference of the first two. */
function wantedPanes(viewer) {
  const { state, words } = viewer;
  const { method, pins } = state;
  const others = state.compare.filter((one) => one !== method && viewer.methods.includes(one));
  const found = [];
  for (const image of viewer.shownImages) {
    for (const one of [method, ...others]) {
      found.push({ method: one, image, chosen: words.chosen, pinned: false });
    }
    for (const tokens of pins) found.push({ method, image, chosen: words.selection(tokens), pinned: true });
  }
  const few = found.slice(0, MOST_PANES);
  const second = few.findIndex((pane, at) => at > 0 && pane.image === few[0].image);
  if (state.difference && second > 0) {
    few.splice(MOST_PANES - 1);
    few.push({ image: few[0].image, of: [0, second] });
  }
  return few;
}

/** The values of a pane: an array for each grid on its image, or the reason why there are none. */
function prepared(viewer, wish) {
  const pane = {
    method: null, chosen: null, pinned: false, of: null, known: null, sources: [], name: null, unitText: null,
    difference: false, scaled: null, why: "", layers: [], values: [], hidden: [], ...wish,
  };
  if (pane.of) return pane;
  for (const map of viewer.drawn(pane.method, pane.image)) addValues(viewer, pane, map);
  pane.known = viewer.record.maps.find((map) => map.method === pane.method);
  if (!pane.layers.length && !pane.why) {
    pane.why = pane.known ? `${pane.known.name} has no map of this image.` : "Not measured.";
  }
  return pane;
}

function addValues(viewer, pane, map) {
  const { norm, sinks } = viewer.state;
  const maps = viewer.valuesOf(map);
  if (typeof maps === "string") {
    pane.why = maps;
    return;
  }
  const found = combined(map, maps, pane.chosen);
  if (!found) {
    pane.why = `Not measured for ${pane.chosen.label}.`;
    return;
  }
  const hidden = sinks ? sinksOf(map, maps) : new Set();
  pane.layers.push(map);
  pane.values.push(normalised(without(found, hidden), norm, map, pane.chosen));
  pane.hidden.push(hidden);
}

function normalised(values, norm, map, chosen) {
  let divide = 1;
  if (norm === "mass") divide = values.reduce((sum, value) => sum + (Math.abs(value) || 0), 0) || 1;
  // A sum over several words is held against maps of one word.
  if (norm === "shared" && map.reduce[0] === "sum") divide = targetsOf(map, chosen).length;
  return divide === 1 ? values : values.map((value) => value / divide);
}

/** One scale for the maps of one method and the same words, on all images and tiles. */
function setScales(viewer, panes) {
  const { norm } = viewer.state;
  const shown = panes.filter((pane) => !pane.of && pane.layers.length);
  for (const one of shown) {
    if (one.scaled) continue;
    const family = shown.filter((two) => two.method === one.method
      && (norm === "shared" || same(two.chosen.tokens, one.chosen.tokens)));
    const scale = familyScale(viewer, family);
    for (const two of family) two.scaled = scale;
  }
  for (const pane of panes) if (!pane.of && isFlat(pane.values)) pane.scaled = null;
}

function familyScale(viewer, family) {
  const { norm } = viewer.state;
  const arrays = family.flatMap((pane) => pane.values);
  if (isFlat(arrays)) return null;
  if (norm === "shared") return sharedScale(viewer, family);
  return scaleOver(arrays, family[0].known.signed, norm !== "each");
}

/** A scale over the maps of every token. It is kept, for it takes long. */
function sharedScale(viewer, family) {
  const { record, sharedScales, state: { head, layer, sinks } } = viewer;
  const maps = [...new Set(family.flatMap((pane) => pane.layers))];
  const key = [layer, head, sinks, ...maps.map((map) => record.maps.indexOf(map))].join();
  if (sharedScales.has(key)) return sharedScales.get(key);
  const arrays = maps.flatMap((map) => {
    const values = viewer.valuesOf(map);
    const alone = map.alone.length ? map.alone.map((at) => values[at]) : values;
    const hidden = sinks ? sinksOf(map, values) : new Set();
    return alone.map((one) => without(one, hidden));
  });
  const scale = scaleOver(arrays, family[0].known.signed, true);
  sharedScales.set(key, scale);
  return scale;
}

/** A pane's part of the page: its caption, its canvas, and its scale. */
export function makePane(viewer) {
  const part = (kind) => element("span", { class: `gv-${kind}` });
  const canvas = element("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "heatmap",
  });
  const bar = element("canvas", {
    class: "gv-bar", width: 256, height: 1, role: "img", "aria-label": "Colour scale",
  });
  const pane = {
    canvas, bar, title: part("title"), undone: part("warn"), detail: part("detail"), low: part("end"),
    high: part("end"), unit: part("unit"), rule: part("rule"), none: element("div", { class: "gv-none" }),
    layers: [],
  };
  const ends = element("span", { class: "gv-ends" }, pane.low, bar, pane.high);
  pane.scale = element("div", { class: "gv-scale" }, ends, pane.unit, pane.rule);
  pane.node = element("figure", { class: "gv-pane" },
    element("figcaption", {}, pane.title, pane.undone, pane.detail),
    element("div", { class: "gv-frame" }, canvas, pane.none), pane.scale);
  viewer.pointer.listen(pane);
  return pane;
}
