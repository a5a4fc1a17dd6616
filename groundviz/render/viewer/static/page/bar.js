/** The bar of a scale: its colours, its ticks, and what its two sides mean. */

import { printed } from "../data/numbers.js";
import { colourBar, coloursFor, ticksOf } from "../data/scale.js";
import { element, setText } from "./element.js";

const MOST_TICKS = 5;
/** Pixels between the numbers of two ticks. */
const GAP = 6;

/** Parts of the page for one bar. The first two ticks are its ends. */
export function makeBar() {
  const bar = element("canvas", {
    class: "gv-bar", width: 256, height: 1, role: "img", "aria-label": "Colour scale",
  });
  const ticks = Array.from({ length: MOST_TICKS }, (_, at) =>
    element("span", { class: at < 2 ? "gv-tick gv-end" : "gv-tick" }));
  const sides = [0, 1].map(() => element("span", { class: "gv-side" }));
  const axis = element("span", { class: "gv-axis" }, bar, element("span", { class: "gv-ticks" }, ...ticks));
  return { bar, ticks, sides, axis, ends: element("span", { class: "gv-ends" }, sides[0], axis, sides[1]) };
}

/** Draw a pane's bar as its colours look over mid-grey. */
export function drawBar(viewer, { axis, bar, difference, scaled, sides, ticks }) {
  const { record, state } = viewer;
  const pixels = colourBar(coloursFor(record, scaled, state.cmap), scaled, state);
  bar.getContext("2d").putImageData(new ImageData(pixels, 256, 1), 0, 0);
  sides.forEach((side, at) => {
    setText(side, (difference ? ["less", "more"] : ["against", "for"])[at]);
    side.hidden = !scaled.signed;
  });
  const found = ticksOf(scaled).map(([at, value]) => [at, printed(value)]);
  // To measure texts takes long.
  const key = `${axis.clientWidth} ${found.join(" ")}`;
  if (axis.dataset.key === key) return;
  axis.dataset.key = key;
  placeTicks(ticks, found, axis.clientWidth);
}

/** Write the ticks; of those that would overlap, the first stays. */
function placeTicks(ticks, found, width) {
  const taken = [];
  ticks.forEach((tick, i) => {
    const [at, text] = found[i] ?? [0, ""];
    setText(tick, text);
    tick.hidden = false;
    tick.style.left = `${100 * at}%`;
    const size = tick.offsetWidth;
    // The numbers of the ends stay within the bar.
    const left = i < 2 ? at * (width - size) : at * width - size / 2;
    const free = taken.every(([from, to]) => left > to + GAP || left + size + GAP < from);
    tick.hidden = !text || (i > 1 && !(width && free));
    if (!tick.hidden) taken.push([left, left + size]);
  });
  // Of those on either side of zero, both or none.
  const pair = found.slice(3).length > 1 ? ticks.slice(3) : [];
  if (pair.some((tick) => tick.hidden)) for (const tick of pair) tick.hidden = true;
}
