/** The line under the panes: what is looked up, in words and numbers. */

import { cellName, valueRuns } from "../data/cells.js";
import { HALF, heaviest, MOST, WIDEST } from "../data/mass.js";
import { percent, printed } from "../data/numbers.js";
import { strongest } from "./captions.js";
import { setText } from "./element.js";

/** Milliseconds before a screen reader hears of it, so that it is not told of every move. */
const PAUSE = 500;

/** Write the line, and let a screen reader read it, or the first pane's description. */
export function writeReadout(viewer, found) {
  const text = found ? description(viewer, found) : "";
  setText(viewer.readout, text || (viewer.quiet ? "" : legend(viewer)));
  clearTimeout(viewer.saying);
  const whole = () => viewer.panes[0]?.canvas.getAttribute("aria-label") ?? "";
  viewer.saying = setTimeout(() => setText(viewer.live, text || whole()), PAUSE);
}

function description(viewer, found) {
  const { map, weights, values, spot, value } = found;
  const { words } = viewer;
  const [best] = [...values].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const most = best ? ` Strongest here: “${words.token(best[0]).text}”, about ${printed(best[1])}.` : "";
  const tile = map.label ? ` of ${map.label}` : "";
  if (!spot) return `${area(viewer, found, tile)}${most}`;
  const place = cellName(map, weights[0][0]);
  return `At ${place}${tile}: ${words.chosen.label} about ${printed(value)} ${map.unit}.${most}`;
}

/** How much of the map a box or an outline holds, on how much of it. */
function area(viewer, { map, weights, known, size, shown }, tile) {
  const total = shown?.reduce((sum, value) => sum + (Math.abs(value) || 0), 0);
  const inside = shown && weights.reduce((sum, [cell, weight]) => sum + Math.abs(shown[cell]) * weight, 0);
  const cells = valueRuns(map).reduce((sum, [, from, to]) => sum + to - from, 0);
  const mass = total ? ` holds ${percent(inside / total)} of the map of ${viewer.words.chosen.label}` : "";
  const overlap = known ? agreement(viewer, map, weights, size) : "";
  return `${known?.name ?? "Box"}${tile}:${mass} on ${percent(size / cells)} of its cells.${overlap}`;
}

/** How the first pane's map stands to a known outline: where its strongest cell lies, and what they share. */
function agreement(viewer, map, weights, size) {
  const [pane] = viewer.panes;
  const values = pane.values[pane.layers.indexOf(map)];
  if (!pane.scaled || !values) return "";
  const inside = new Map(weights);
  const best = strongest(pane);
  const lies = best.map === map && inside.get(best.at) >= 0.5 ? "inside" : "outside";
  const outlined = heaviest(values, HALF);
  const strong = [...values.keys()].filter((at) => outlined[at]);
  const shared = strong.reduce((sum, at) => sum + (inside.get(at) ?? 0), 0);
  const overlap = printed(shared / (strong.length + size - shared), 2);
  return ` Its strongest cell is ${lies}; intersection over union with the outlined cells ${overlap}.`;
}

/** How to read what is drawn. */
function legend(viewer) {
  const { panes, record, state: { contour, fill, opacity } } = viewer;
  const parts = [];
  if (fill) parts.push(`Opacity rises from 0 at zero to ${percent(opacity)}.`);
  if (contour) {
    const dashed = panes.some(({ scaled }) => scaled?.signed) ? "; dashed below zero" : "";
    const none = `none where they are over ${percent(WIDEST)} of all, or the map is faint`;
    const shares = `${percent(HALF)} of the map; thin: ${percent(MOST)}${dashed}`;
    parts.push(`Outlined: the fewest cells that hold ${shares}; ${none}.`);
  }
  if (record.known.length) parts.push("Dotted: reference.");
  parts.push("Hatched: not covered by this map.");
  if (panes.some((pane) => pane.known?.claim)) parts.push(record.says);
  parts.push("Words are underlined by their probability: thick is sure, dotted below 50 %.");
  return parts.join(" ");
}
