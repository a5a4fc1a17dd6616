/** The difference of two panes, and what explanations that stand side by side share. */

import { cellAt, middleOf } from "../data/cells.js";
import { twinOf } from "../data/phrases.js";
import { curveOf, extentOf, joined, scaleOver } from "../data/scale.js";
import { areAlike } from "../data/stacks.js";
import { windowIn } from "../data/window.js";
import { OWN, unitOf } from "./state.js";

/** What a change of one viewer changes in one that stands beside it. */
export function linkedChanges(changes, viewer, peer) {
  const linked = Object.entries(changes).filter(([name]) => !OWN.includes(name));
  const found = Object.fromEntries(linked);
  if (changes.selected) {
    const twins = changes.selected.map((token) => twinOf(token, viewer.words, peer.words));
    found.selected = twins.filter((at) => at !== null);
  }
  // Slices of another stack lie elsewhere.
  if (changes.slices && !areAlike(viewer.record, peer.record)) delete found.slices;
  if ("window" in changes || "level" in changes) {
    const { level, window: width } = windowIn(peer.front, viewer.front, { ...viewer.state, ...changes });
    Object.assign(found, { level, window: width });
  }
  return found;
}

/** What a pane shows at a place: the topmost of its grids that has a cell there. */
function readAt(pane, place, alike) {
  for (let i = pane.layers.length - 1; i >= 0; i--) {
    const [found] = cellAt(pane.layers[i], place);
    if (!found) continue;
    const value = pane.values[i][found[0]];
    // Not as colours follow it: those of the difference would follow it a second time.
    return alike ? value : value / pane.scaled.top;
  }
  return NaN;
}

/** The scale of a difference: it reaches as far as those of the two panes, so that a small one stays faint. */
function scaleBeside(extent, norm, panes) {
  const own = scaleOver({ ...extent, least: 0 }, curveOf(norm), true, "map");
  if (!own || norm === "each") return own;
  // Of shares of two scales, both end at 1.
  const top = Math.max(...panes.map(({ scaled }) => scaled.top), panes.length ? 0 : 1);
  return { ...own, top, over: "beside" };
}

/** First pane minus second, in their unit where it is the same, else each as a share of its scale's end. */
export function subtract(pane, panes, norm) {
  const [a, b] = pane.of.map((at) => panes[at]);
  if (!a?.scaled || !b?.scaled) {
    pane.why = "No difference: one of the two shows no evidence.";
    pane.of = null;
    return;
  }
  const oneMethod = a.method === b.method;
  const alike = oneMethod || norm === "mass";
  // On the finer of the two grids.
  const { layers } = a.layers[0].count >= b.layers[0].count ? a : b;
  const values = layers.map((map) => Float32Array.from({ length: map.count }, (_, i) => {
    const place = middleOf(map, Math.floor(i / map.cols), i % map.cols);
    return readAt(a, place, alike) - readAt(b, place, alike);
  }));
  let unitText = "difference, each as a share of its scale’s end";
  if (alike) unitText = unitOf(norm, a);
  const title = (one) => (oneMethod ? one.chosen.label : one.known.name);
  const name = `${title(a)} − ${title(b)}`;
  const extent = joined(layers.map((map, at) => extentOf(values[at], map, name)));
  Object.assign(pane, {
    layers, values, unitText, name, difference: true, chosen: a.chosen,
    sources: [a.known, b.known], known: { ...a.known, signed: true },
    hidden: layers.map(() => new Set()), scaled: scaleBeside(extent, norm, alike ? [a, b] : []),
  });
}
