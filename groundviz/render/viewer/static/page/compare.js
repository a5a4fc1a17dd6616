/** The difference of two panes, and explanations that stand side by side. */

import { cellAt, middleOf } from "../data/cells.js";
import { twinOf } from "../data/phrases.js";
import { curveOf, extentOf, joined, scaleOver, strength } from "../data/scale.js";
import { element } from "./element.js";
import { keyed } from "./keyboard.js";
import { OWN, unitOf } from "./state.js";

/** What a change of one viewer changes in one that stands beside it. */
export function linkedChanges(changes, viewer, peer) {
  const linked = Object.entries(changes).filter(([name]) => !OWN.includes(name));
  const found = Object.fromEntries(linked);
  if (changes.selected) {
    const twins = changes.selected.map((token) => twinOf(token, viewer.words, peer.words));
    found.selected = twins.filter((at) => at !== null);
  }
  return found;
}

/** Several viewers with the controls of one, which the others follow. */
export function sideBySide(viewers) {
  const [first, ...others] = viewers;
  for (const one of others) one.quiet = true;
  const roots = viewers.map((one) => one.root);
  const panel = element("div", { onkeydown: (event) => keyed(first, event) }, first.panel, first.sheet);
  const beside = element("div", { class: "gv-side-by-side" }, ...roots, panel);
  beside.style.setProperty("--gv-sides", viewers.length);
  return element("div", { class: "gv-root" }, beside);
}

/** What a pane shows at a place: the topmost of its grids that has a cell there. */
function readAt(pane, place, alike) {
  for (let i = pane.layers.length - 1; i >= 0; i--) {
    const [found] = cellAt(pane.layers[i], place);
    if (!found) continue;
    const value = pane.values[i][found[0]];
    return alike ? value : Math.sign(value) * strength(value, pane.scaled);
  }
  return NaN;
}

/** First pane minus second, in their unit where it is the same, else in positions on their scales. */
export function subtract(pane, panes, norm) {
  const [a, b] = pane.of.map((at) => panes[at]);
  if (!a?.scaled || !b?.scaled) {
    pane.why = "No difference: one of the two shows no evidence.";
    pane.of = null;
    return;
  }
  const alike = a.method === b.method;
  // On the finer of the two grids.
  const { layers } = a.layers[0].count >= b.layers[0].count ? a : b;
  const values = layers.map((map) => Float32Array.from({ length: map.count }, (_, i) => {
    const place = middleOf(map, Math.floor(i / map.cols), i % map.cols);
    return readAt(a, place, alike) - readAt(b, place, alike);
  }));
  let unitText = "difference of positions on the two scales";
  if (alike) unitText = unitOf(norm, a);
  const title = (one) => (alike ? one.chosen.label : one.known.name);
  const name = `${title(a)} − ${title(b)}`;
  // What is negligible is so in the unit of the maps.
  const least = alike && norm !== "mass" ? a.known.least : 0;
  const extents = layers.map((map, at) => ({ ...extentOf(values[at], map, name), least }));
  Object.assign(pane, {
    layers, values, unitText, name, difference: true, chosen: a.chosen,
    sources: [a.known, b.known], known: { ...a.known, signed: true },
    hidden: layers.map(() => new Set()), scaled: scaleOver(joined(extents), curveOf(norm), true, "map"),
  });
}
