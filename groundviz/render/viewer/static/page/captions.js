/** What stands over and under a pane. */

import { cellName } from "../data/cells.js";
import { headsOf, layerIndex, targetsOf } from "../data/maps.js";
import { halfOf } from "../data/mass.js";
import { printed } from "../data/numbers.js";
import { isSmall, ruleOf, summitOf } from "../data/scale.js";
import { drawBar } from "./bar.js";
import { setText } from "./element.js";
import { knownOf } from "./evidence.js";
import { unitOf } from "./state.js";

/** Letters of a label, of which a caption has more in its middle than it has room for. */
const LONGEST_LABEL = 90;
const LAST = 25;

/** The cell with the largest value, whatever its sign: {map, at, value}. */
export function strongest(pane) {
  let best = { value: 0 };
  pane.layers.forEach((map, i) => pane.values[i].forEach((value, at) => {
    if (Math.abs(value) >= Math.abs(best.value)) best = { map, at, value };
  }));
  return best;
}

/** Write a pane's caption and what its scale means, and describe it to a screen reader. */
export function writeCaption(viewer, pane) {
  setText(pane.title, pane.name ?? pane.known?.name ?? pane.method ?? "Difference");
  setText(pane.undone, undoneOf(pane));
  pane.undone.hidden = !pane.undone.textContent;
  setText(pane.detail, details(viewer, pane).filter(Boolean).join(" · "));
  pane.detail.title = pane.detail.textContent;
  setText(pane.none, pane.why || "no evidence: every cell holds the same value");
  pane.none.hidden = Boolean(pane.scaled);
  const caption = [pane.title, pane.undone, pane.detail].map((node) => node.textContent).filter(Boolean);
  let rest = pane.none.textContent;
  if (pane.scaled) {
    writeScale(viewer, pane);
    const { map, at, value } = strongest(pane);
    rest = `Strongest at ${cellName(map, at)}: about ${printed(value)}.`;
  }
  pane.canvas.setAttribute("aria-label", `${caption.join(", ")}. ${rest}`);
}

function undoneOf(pane) {
  const maps = pane.difference ? pane.sources : [pane.known];
  const undone = [...new Set(maps.map((map) => map?.interrupted))].filter(Boolean);
  return undone.length ? `interrupted: ${undone.join("; ")}` : "";
}

function details(viewer, pane) {
  const { images } = viewer.record;
  const { chosen, known, layers } = pane;
  const place = images.length > 1 ? images[pane.image].name : "";
  const half = pane.scaled ? halfIn(pane) : "";
  if (pane.difference) return [place, half];
  const small = pane.scaled && isSmall(pane.scaled) && known.under;
  const words = `${shortened(chosen?.label ?? "")}${pane.pinned ? " pinned" : ""}`;
  const tile = layers.length === 1 ? layers[0].label : "";
  const over = known ? aggregation(viewer.state, known) : "";
  const several = new Set(viewer.panes.map(({ method }) => method).filter(Boolean)).size > 1;
  const needs = several ? knownOf(viewer.record, [pane.method])[0].facts.at(-1).join(": ") : "";
  return [words, place, tile, known?.claim, over, errorOf(viewer.state, layers[0], chosen), half, small, needs];
}

/** A label without its middle where it is long: which words are meant is marked in the answer, too. */
function shortened(label) {
  const letters = [...label];
  if (letters.length <= LONGEST_LABEL) return label;
  return `${letters.slice(0, LONGEST_LABEL - LAST).join("").trimEnd()} … ${letters.slice(-LAST).join("").trimStart()}`;
}

/** Which layer and head, and what is taken over the others. */
function aggregation({ layer, head }, map) {
  const parts = [];
  const over = [];
  const oneLayer = layerIndex(map, layer) >= 0;
  if (oneLayer) parts.push(`layer ${layer}`);
  else if (map.measured[0] > 1) over.push(["layers", map.reduce[1]]);
  if (headsOf(map) > 1) {
    if (head >= 0) parts.push(`head ${head}`);
    else over.push(["heads", map.reduce[2]]);
  }
  if (over.length === 2 && over[0][1] === over[1][1]) parts.push(`${over[0][1]} over layers and heads`);
  else for (const [axis, how] of over) parts.push(`${how} over ${axis}`);
  if (layer >= 0 && !oneLayer) parts.push("not by layer");
  return parts.join(", ");
}

/** How far off a map may be by chance: known for what was measured as a whole. */
function errorOf({ layer, head }, map, chosen) {
  const found = map?.errors && chosen && targetsOf(map, chosen);
  if (!found) return "";
  const allLayers = layerIndex(map, layer) < 0 || map.measured[0] === 1;
  const allHeads = head < 0 || headsOf(map) === 1;
  const error = found.length === 1 && allLayers && allHeads ? map.errors[found[0]] : "";
  return error || "standard error not known for this combination";
}

function writeScale(viewer, pane) {
  setText(pane.unit, pane.unitText ?? unitOf(viewer.state.norm, pane));
  const sinks = pane.hidden.reduce((total, cells) => total + cells.size, 0);
  const without = sinks ? `; ${sinks} sink cell${sinks > 1 ? "s" : ""} hidden` : "";
  setText(pane.rule, `${ruleOf(pane.scaled)}${without}`);
  setText(pane.summit, summitOf(pane.scaled));
}

/** Each pane's scale; one that all panes share stands once, under them all. */
export function placeScales(viewer) {
  const { panes, stage } = viewer;
  const [first] = panes;
  const told = panes.map(({ rule, summit, unit }) => [unit, rule, summit].map((one) => one.textContent).join());
  const shared = panes.length > 1 && panes.every(({ scaled }) => scaled) && new Set(told).size === 1;
  const home = shared ? stage : first.foot;
  if (first.scale.parentNode !== home) home.append(first.scale);
  for (const pane of panes) {
    pane.scale.hidden = !pane.scaled || (shared && pane !== first);
    if (!pane.scale.hidden) drawBar(viewer, pane);
  }
}

/** How few cells hold half of what is shown. */
function halfIn({ values }) {
  const { half, all } = halfOf(values);
  if (!half) return "";
  const each = values.length > 1 ? " of each tile" : "";
  return `${half} of ${all} cells hold half${each}`;
}
