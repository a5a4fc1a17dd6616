/** What stands side by side, with its values and its scales. */

import { combined, sinksOf, without } from "../data/maps.js";
import { curveOf, extentOf, isFlat, joined, scaleOver } from "../data/scale.js";
import { makeBar } from "./bar.js";
import { subtract } from "./compare.js";
import { element } from "./element.js";
import { makeMarks } from "./image.js";
import { listenToStrip, makeStrip } from "./stacks.js";
import { isShared, MOST_PANES } from "./state.js";

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
export function prepared(viewer, wish) {
  const pane = {
    viewer, method: null, chosen: null, pinned: false, of: null, known: null, sources: [], name: null, unitText: null,
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
  const maps = viewer.valuesOf(map);
  if (typeof maps === "string") {
    pane.why = maps;
    return;
  }
  const values = shownValues(viewer, map, maps, pane.chosen);
  if (!values) {
    pane.why = `Not measured for ${pane.chosen.label}.`;
    return;
  }
  pane.layers.push(map);
  pane.values.push(values);
  pane.hidden.push(hiddenSinks(viewer, map, maps));
}

function hiddenSinks({ state }, map, maps) {
  return state.sinks ? sinksOf(map, maps) : new Set();
}

/** The values of a selection as they are coloured, or null where it was not measured. */
function shownValues(viewer, map, maps, chosen) {
  const { norm } = viewer.state;
  const found = combined(map, maps, chosen);
  if (!found) return null;
  const values = without(found, hiddenSinks(viewer, map, maps));
  let divide = 1;
  if (norm === "mass") divide = values.reduce((sum, value) => sum + (Math.abs(value) || 0), 0) || 1;
  // On a scale for all words, a sum over several of them is held against maps of one word.
  if (isShared(norm) && map.reduce[0] === "sum") divide = chosen.tokens.length;
  return divide === 1 ? values : values.map((value) => value / divide);
}

/** One scale for the maps of one unit, of whatever methods, words, images and tiles. */
function setScales(viewer, panes) {
  const { norm } = viewer.state;
  const telling = besideEachOther(viewer, panes);
  for (const pane of panes) {
    if (!telling.includes(pane)) continue;
    const { signed, unit } = pane.known;
    if (norm === "each") {
      pane.scaled = scaleOver(joined(extentsOf(pane)), "root", signed, telling.length > 1 ? "each" : "map");
      continue;
    }
    const alike = telling.filter(({ known }) => known.signed === signed && (norm === "mass" || known.unit === unit));
    const extents = alike.flatMap(norm === "mass" ? extentsOf : extentsOfWords);
    pane.scaled = scaleOver(joined([...new Set(extents)]), curveOf(norm), signed);
  }
}

/** All panes with evidence: these, and those that viewers beside this one show of the same model. */
function besideEachOther(viewer, panes) {
  const others = viewer.kin.flatMap((one) => wantedPanes(one).map((pane) => prepared(one, pane)));
  return [...panes, ...others].filter((pane) => pane.layers.length && !isFlat(pane.values));
}

/** What a map is about, and in which of the explanations that share its scale. */
const calledIn = ({ kin, record }, { label }) => (kin.length ? `${label} in ${record.name}` : label);

/** How far the maps of a pane reach, by themselves. */
function extentsOf({ chosen, layers, values, viewer }) {
  const { norm } = viewer.state;
  return layers.map((map, at) => {
    const extent = extentOf(values[at], map, calledIn(viewer, chosen));
    // What is small is so in a map's own unit.
    return norm === "mass" ? { ...extent, least: 0 } : extent;
  });
}

/** How far the maps of every word and of what is chosen reach, on all images and tiles of a pane's method. */
function extentsOfWords({ chosen, known, method, viewer }) {
  const each = kept(viewer, method, null, (map) => [...map.singles.keys()].map((at) => viewer.words.selection([at])));
  const single = chosen.foil == null && chosen.tokens.length === 1 && known.singles.has(chosen.tokens[0]);
  return single ? [each] : [each, kept(viewer, method, chosen, () => [chosen])];
}

/** How far some selections of a method's maps reach. It is kept, for it takes long. */
function kept(viewer, method, chosen, selections) {
  const { extents, record, state: { head, layer, sinks } } = viewer;
  const key = JSON.stringify([method, layer, head, sinks, chosen?.tokens, chosen?.foil]);
  if (extents.has(key)) return extents.get(key);
  const found = [];
  let whole = true;
  for (const map of record.maps.filter((one) => one.method === method)) {
    const maps = viewer.valuesOf(map);
    // Heads that are still to come change the scale.
    if (typeof maps === "string") {
      whole = false;
      continue;
    }
    for (const one of selections(map)) {
      const values = shownValues(viewer, map, maps, one);
      if (values) found.push(extentOf(values, map, calledIn(viewer, one)));
    }
  }
  const extent = joined(found);
  if (whole) extents.set(key, extent);
  return extent;
}

/** A pane's part of the page: its caption, its canvas, and its scale. */
export function makePane(viewer) {
  const part = (kind) => element("span", { class: `gv-${kind}` });
  const canvas = element("canvas", {
    tabindex: 0, role: "application", "aria-roledescription": "heatmap",
  });
  const pane = {
    canvas, title: part("title"), undone: part("warn"), detail: part("detail"), unit: part("unit"),
    rule: part("rule"), summit: part("summit"), none: element("div", { class: "gv-none" }), layers: [],
    tip: element("div", { class: "gv-tip", "aria-hidden": "true" }), ...makeBar(),
    ...makeMarks(), strip: makeStrip(),
  };
  pane.scale = element("div", { class: "gv-scale" }, pane.ends, pane.unit, pane.rule, pane.summit);
  pane.frame = element("div", { class: "gv-frame" }, canvas, pane.marks, pane.tip, pane.none);
  pane.foot = element("div", {}, pane.strip.node, pane.scale);
  pane.node = element("figure", { class: "gv-pane" },
    element("figcaption", {}, pane.title, pane.undone, pane.detail), pane.frame, pane.foot);
  viewer.pointer.listen(pane);
  listenToStrip(viewer, pane);
  return pane;
}
