/** The slices of a stack: the strip under a pane that tells where along it the map lies, and how to turn them. */

import { combined } from "../data/maps.js";
import { massOf, sharesOf } from "../data/mass.js";
import { clamp, percent } from "../data/numbers.js";
import { shownIn, stackOf, stepsOf, withSlice } from "../data/stacks.js";
import { element, setText, setValue } from "./element.js";

/** Milliseconds in which a wheel that has come to the end of a stack does not scroll the page. */
const END_PAUSE = 500;

/** A share, whose number and sign stay on one line. */
const shareText = (part) => percent(part).replace(" ", "\u00a0");

/** Show another slice of a stack. */
function toSlice(viewer, stack, image) {
  const { pointer, state } = viewer;
  // The pointer rests where it was, and over another slice.
  if (pointer.spot?.image === shownIn(stack, state.slices)) pointer.spot = { ...pointer.spot, image };
  viewer.set({ slices: withSlice(stack, state.slices, image) });
}

/** Go some slices on, or back, as far as there are any. */
function turn(viewer, pane, steps) {
  const stack = stackOf(viewer.record, pane.image);
  const at = stack.images.indexOf(pane.image);
  const to = clamp(at + steps, 0, stack.images.length - 1);
  if (to !== at) toSlice(viewer, stack, stack.images[to]);
}

const hasSlices = ({ record }, { image }) => stackOf(record, image).images.length > 1;

/** Page Up and Page Down: the slices of the pane that has the focus, or of the first stack. */
export function turnedByKey(viewer, pane, steps) {
  const found = pane && hasSlices(viewer, pane) ? pane : viewer.panes.find((one) => hasSlices(viewer, one));
  if (found) turn(viewer, found, steps);
  return Boolean(found);
}

/** The wheel over a stack turns its slices; at its end, after a pause, it scrolls the page. */
export function turnedByWheel(viewer, pane, event) {
  if (!hasSlices(viewer, pane)) return false;
  const wheel = viewer.wheel ?? { left: 0, last: -Infinity };
  // A wheel that counts in lines makes steps of the same size.
  const pixels = event.deltaY * (event.deltaMode ? 33 : 1);
  const resting = event.timeStamp - wheel.last > END_PAUSE;
  const [steps, left] = stepsOf((resting ? 0 : wheel.left) + pixels);
  const stack = stackOf(viewer.record, pane.image);
  const end = pane.image === (pixels > 0 ? stack.images.at(-1) : stack.images[0]);
  if (end && resting) return true;
  event.preventDefault();
  viewer.wheel = { left: end ? 0 : left, last: event.timeStamp };
  if (steps) turn(viewer, pane, steps);
  return true;
}

/** Parts of the page for a strip: a bar for each slice, a slider over them, and what they tell. */
export function makeStrip() {
  const bars = element("div", { class: "gv-bars", "aria-hidden": "true" });
  const slider = element("input", { class: "gv-slices", type: "range", min: 0, step: 1, "aria-label": "Slice" });
  const ends = [0, 1].map(() => element("span"));
  const says = element("span", { class: "gv-says" });
  const node = element("div", { class: "gv-strip" }, element("div", { class: "gv-track" }, bars, slider),
    element("div", { class: "gv-numbers" }, ...ends), says);
  return { bars, slider, ends, says, node };
}

/** Let a pane's slider turn its slices. */
export function listenToStrip(viewer, pane) {
  const { slider } = pane.strip;
  slider.addEventListener("input", () => {
    const stack = stackOf(viewer.record, pane.image);
    toSlice(viewer, stack, stack.images[+slider.value]);
  });
  slider.addEventListener("keydown", (event) => {
    const steps = { PageUp: -1, PageDown: 1 }[event.key];
    if (!steps) return;
    // As in the image, and not as a slider of its own has it.
    event.preventDefault();
    event.stopPropagation();
    turn(viewer, pane, steps);
  });
}

/** Bring a pane's strip up to date. */
export function writeStrip(viewer, pane) {
  const { strip } = pane;
  const { images } = stackOf(viewer.record, pane.image);
  strip.node.hidden = images.length < 2;
  if (strip.node.hidden) return;
  const shares = sharesIn(viewer, pane, images);
  const at = images.indexOf(pane.image);
  drawBars(strip, shares ?? images.map(() => 0), at);
  const shown = images.map((image) => viewer.record.images[image]);
  setText(strip.ends[0], `slice ${shown[0].number}`);
  setText(strip.ends[1], shown.at(-1).number);
  const here = shares ? `, here ${shareText(shares[at])}` : "";
  setText(strip.says, shares ? `${highest(shown, shares)}${here}` : "Map by slice: not measured.");
  strip.slider.max = images.length - 1;
  strip.slider.value = at;
  strip.slider.setAttribute("aria-valuetext", `slice ${shown[at].place}${here}`);
  setValue(strip.node, "count", images.length);
}

function highest(shown, shares) {
  const most = Math.max(...shares);
  const { number } = shown[shares.indexOf(most)];
  return `Share of the map in this stack, by slice: highest ${shareText(most)} on slice ${number}`;
}

/** One bar for each slice, the highest as high as there is room; what has not changed is left alone. */
function drawBars(strip, shares, at) {
  const { children } = strip.bars;
  while (children.length > shares.length) strip.bars.lastChild.remove();
  while (children.length < shares.length) strip.bars.append(element("span"));
  const most = Math.max(...shares) || 1;
  const heights = shares.map((share) => (share / most).toFixed(4));
  heights.forEach((height, slice) => {
    if (height !== strip.heights?.[slice]) setValue(children[slice], "share", height);
    children[slice].toggleAttribute("data-here", slice === at);
  });
  strip.heights = heights;
}

/** The share of a pane's map on each slice; null where it is not measured on all of them, or holds nothing. */
function sharesIn(viewer, pane, images) {
  const { method, chosen } = pane;
  if (!method) return null;
  const masses = images.map((image) => {
    const found = viewer.record.maps
      .filter((map) => map.method === method && map.image === image)
      .map((map) => [map, viewer.valuesOf(map)])
      .map(([map, maps]) => (typeof maps === "string" ? null : combined(map, maps, chosen)));
    return found.length && found.every(Boolean) ? massOf(found) : NaN;
  });
  return sharesOf(masses);
}

/** Forget the windowed images that are not shown: of a long stack they would fill the memory. */
export function forgetUnseen({ bases, panes, record }) {
  const shown = panes.map(({ image }) => record.images[image]);
  for (const image of bases.keys()) if (!shown.includes(image)) bases.delete(image);
}

/** The images that are shown: of every stack one slice, or of the one that was chosen alone. */
export function imagesShown({ record, state }, most) {
  const chosen = stackOf(record, state.image);
  const stacks = chosen ? [chosen] : record.stacks.slice(0, most);
  return stacks.map((stack) => shownIn(stack, state.slices));
}
