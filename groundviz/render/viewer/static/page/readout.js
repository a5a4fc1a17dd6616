/** What is looked up, in words and numbers: in a line, and at the place itself. */

import { cellAt, cellName, valueRuns } from "../data/cells.js";
import { HALF, heaviest, MOST, WIDEST } from "../data/mass.js";
import { percent, printed } from "../data/numbers.js";
import { valueText } from "../data/window.js";
import { strongest } from "./captions.js";
import { setText } from "./element.js";
import { unitOf } from "./state.js";

/** Milliseconds before a screen reader hears of it, so that it is not told of every move. */
const PAUSE = 500;

const UNDERLINED = "Words are underlined by their probability: thick is sure, dotted below 50 %.";

/** Write the line, and let a screen reader read it, or the first pane's description. */
export function writeReadout(viewer, found) {
  const text = found ? description(viewer, found) : "";
  setText(viewer.readout, text);
  setText(viewer.legend, `${legendOf(viewer)} ${UNDERLINED}`);
  clearTimeout(viewer.saying);
  // Words that are played are too many to be read out.
  if (viewer.words.played) return;
  const whole = () => viewer.panes[0]?.canvas.getAttribute("aria-label") ?? "";
  viewer.saying = setTimeout(() => setText(viewer.live, text || whole()), PAUSE);
}

/** Pixels between the pointer and what stands beside it. */
const BESIDE = 14;

/** Write beside the place that is pointed at, or was kept, what a pane holds there. */
export function writeTip(viewer, pane) {
  const { grab, kept, spot } = viewer.pointer;
  const at = grab ? null : spot ?? kept;
  const { canvas, fit: { ratio, sx, sy, tx, ty }, tip } = pane;
  const [x, y] = at ? [(at.x * sx + tx) / ratio, (at.y * sy + ty) / ratio] : [-1, -1];
  const [width, height] = [canvas.width / ratio, canvas.height / ratio];
  tip.hidden = at?.image !== pane.image || x < 0 || y < 0 || x > width || y > height;
  if (tip.hidden) return;
  setText(tip, tipOf(viewer, pane, at));
  // On the side where there is more room, in the frame in whose middle the canvas lies.
  const { clientWidth, clientHeight } = pane.frame;
  const [left, top] = [x + (clientWidth - width) / 2, y + (clientHeight - height) / 2];
  const [right, below] = [left < clientWidth / 2, top < clientHeight / 2];
  Object.assign(tip.style, {
    left: right ? `${left + BESIDE}px` : "auto", right: right ? "auto" : `${clientWidth - left + BESIDE}px`,
    top: below ? `${top + BESIDE}px` : "auto", bottom: below ? "auto" : `${clientHeight - top + BESIDE}px`,
  });
}

/** Lines about one place. */
function tipOf({ record, state }, pane, at) {
  const lines = [];
  const image = record.images[pane.image];
  const held = image.tiles.at(at);
  for (let i = pane.layers.length - 1; i >= 0 && !lines.length; i--) {
    const [found] = cellAt(pane.layers[i], at);
    if (found) lines.push(`${printed(pane.values[i][found[0]])} ${pane.unitText ?? unitOf(state.norm, pane)}`);
  }
  if (pane.layers.length && !lines.length) lines.push("not covered by this map");
  lines.push(held ? valueText(image, held) : "…");
  lines.push(`row ${Math.floor(at.y) + 1}, column ${Math.floor(at.x) + 1} of the image`);
  return lines.join("\n");
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
export function legendOf(viewer) {
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
  return parts.join(" ");
}
