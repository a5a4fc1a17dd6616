/** A pane's image under its window, and what stands on it. */

import { clamp, printed } from "../data/numbers.js";
import { barLength, levelsOf, windowTexts } from "../data/window.js";
import { element, setText, setValue } from "./element.js";

/** Pixels beyond what is seen, so that the border is smooth. */
const RIM = 2;
/** The longest scale bar, as a share of the image's width on the screen. */
const LONGEST_BAR = 0.3;
/** Where letters stand, in the order in which a record tells the edges. */
const PLACES = ["left", "top", "right", "bottom"];

/** Draw the image of a pane. */
export function drawImage(viewer, pane, context) {
  const image = viewer.record.images[pane.image];
  const { sx, sy, tx, ty } = pane.fit;
  const { level, box: [left, top, right, bottom] } = shownPart(image, pane);
  const [rows, cols] = image.levels[level].shape;
  const [across, down] = [(sx * image.source[1]) / cols, (sy * image.source[0]) / rows];
  // Magnified far enough, pixels are shown as they are.
  context.imageSmoothingEnabled = across < 4;
  context.imageSmoothingQuality = "high";
  const canvas = windowed(viewer, image, level, [left, top, right, bottom]);
  context.drawImage(canvas, left * across + tx, top * down + ty, (right - left) * across, (bottom - top) * down);
}

/** Milliseconds between looks for what was sent for, and how often. */
const AGAIN = 50;
const MOST_LOOKS = 200;

/** Wait for what a pane shows at its best; whether it was not there at first. */
export async function awaitTiles({ record }, { canvas, fit, image: at }) {
  const image = record.images[at];
  const level = image.tiles.levelFor(fit.sx);
  const numbers = image.tiles.within(level, visibleBox(image, level, canvas, fit));
  for (let look = 0; look < MOST_LOOKS; look++) {
    if (image.tiles.ready(level, numbers)) return look > 0;
    await new Promise((later) => setTimeout(later, AGAIN));
  }
  return true;
}

/** The size that is drawn, and the box [left, top, right, bottom] of its pixels that is seen. */
function shownPart(image, { canvas, fit }) {
  const { tiles } = image;
  const best = tiles.levelFor(fit.sx);
  for (let level = best; level > 0; level--) {
    const box = visibleBox(image, level, canvas, fit);
    // What is not here yet is sent for, and what is coarser shown meanwhile.
    if (tiles.ready(level, tiles.within(level, box))) return { level, box };
  }
  const [rows, cols] = image.levels[0].shape;
  return { level: 0, box: [0, 0, cols, rows] };
}

function visibleBox(image, level, { width, height }, { sx, sy, tx, ty }) {
  const [rows, cols] = image.levels[level].shape;
  const [across, down] = [(sx * image.source[1]) / cols, (sy * image.source[0]) / rows];
  return [
    clamp(Math.floor(-tx / across) - RIM, 0, cols - 1), clamp(Math.floor(-ty / down) - RIM, 0, rows - 1),
    clamp(Math.ceil((width - tx) / across) + RIM, 1, cols), clamp(Math.ceil((height - ty) / down) + RIM, 1, rows),
  ];
}

/** The smallest size of an image, under its window. */
export function wholeImage(viewer, at) {
  const image = viewer.record.images[at];
  const [rows, cols] = image.levels[0].shape;
  return windowed(viewer, image, 0, [0, 0, cols, rows]);
}

/** A part of an image under its window, made anew where either has changed. */
function windowed(viewer, image, level, box) {
  const shown = viewer.windowOf(image);
  const { invert, level: centre, window: width } = shown;
  const key = [level, ...box, centre, width, invert].join(" ");
  const base = viewer.bases.get(image) ?? { canvas: element("canvas") };
  if (base.key === key) return base.canvas;
  const [left, top, right, bottom] = box;
  const data = new ImageData(right - left, bottom - top);
  fill(image, level, box, { data, levels: levelsOf(image, shown) });
  Object.assign(base.canvas, { width: data.width, height: data.height });
  base.canvas.getContext("2d").putImageData(data, 0, 0);
  viewer.bases.set(image, { ...base, key });
  return base.canvas;
}

function fill({ channels, tiles }, level, box, { data, levels }) {
  const pixels = new Uint32Array(data.data.buffer);
  // As this machine orders bytes, which is the same on all that run a browser: red comes first.
  const grey = new Uint32Array(levels.length);
  for (let one = 0; one < grey.length; one++) grey[one] = 0xff000000 | (levels[one] * 0x010101);
  const [left, top, right, bottom] = box;
  for (const number of tiles.within(level, box)) {
    const tile = tiles.get(level, number);
    const [from, to] = [Math.max(left, tile.left), Math.min(right, tile.left + tile.cols)];
    for (let row = Math.max(top, tile.top); row < Math.min(bottom, tile.top + tile.rows); row++) {
      const start = ((row - tile.top) * tile.cols + from - tile.left) * channels;
      const out = (row - top) * data.width + from - left;
      if (channels === 1) fillGrey(pixels, tile.codes, grey, { start, out, count: to - from });
      else fillColours(pixels, tile.codes, levels, { start, out, count: to - from });
    }
  }
}

function fillGrey(pixels, codes, grey, { start, out, count }) {
  for (let at = 0; at < count; at++) pixels[out + at] = grey[codes[start + at]];
}

function fillColours(pixels, codes, levels, { start, out, count }) {
  for (let at = 0, from = start; at < count; at++, from += 3) {
    const [red, green, blue] = [levels[codes[from]], levels[codes[from + 1]], levels[codes[from + 2]]];
    pixels[out + at] = 0xff000000 | (blue << 16) | (green << 8) | red;
  }
}

/** Parts of the page that stand on an image: letters at its edges, the window, a bar of known length. */
export function makeMarks() {
  const letters = PLACES.map((place) => element("span", { class: `gv-edge gv-${place}` }));
  const place = element("span", { class: "gv-place" });
  const shown = element("span", { class: "gv-shown" });
  const length = element("span", { class: "gv-length" });
  const marks = element("div", { class: "gv-marks" }, ...letters, place, shown, length);
  return { letters, place, shown, length, marks };
}

/** What stands on an image: the letters of its edges, its window and side, and its bar. */
export function marksOf(viewer, pane) {
  const { record, state } = viewer;
  const image = record.images[pane.image];
  const [centre, width] = windowTexts(image, viewer.windowOf(image));
  const words = [`C ${centre}  W ${width}`, state.invert && "inverted", image.laterality];
  const shown = words.filter(Boolean).join("  ");
  const { canvas, fit: { ratio, sx } } = pane;
  const most = (LONGEST_BAR * canvas.width) / ratio;
  const bar = image.millimetres && barLength((image.millimetres[1] * ratio) / sx, most);
  const text = bar ? `${printed(bar.length)} ${image.millimetres[2]}` : "";
  return { letters: image.edges, place: image.place, shown, bar: bar && { pixels: bar.pixels, text } };
}

export function writeMarks(viewer, pane) {
  const { letters, place, shown, bar } = marksOf(viewer, pane);
  pane.letters.forEach((one, at) => setText(one, letters[at] ?? ""));
  setText(pane.place, place);
  setText(pane.shown, shown);
  setText(pane.length, bar ? bar.text : "");
  pane.length.hidden = !bar;
  if (bar) setValue(pane.length, "long", `${bar.pixels}px`);
}
