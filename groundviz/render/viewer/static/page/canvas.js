/** A pane's image, and what lies over it. */

import { valueRuns } from "../data/cells.js";
import { edges, finer, isolines } from "../data/lines.js";
import { HALF, halfOf, heaviest, MOST, WIDEST } from "../data/mass.js";
import { centreWithin, clamp } from "../data/numbers.js";
import { colouredCells, coloursFor, isFaint } from "../data/scale.js";
import { drawImage } from "./image.js";

/** Of larger grids, outlines would be all there is to see. */
const MOST_OUTLINED = 64;
/** Steps within a cell of the lines through smooth values. */
const SMOOTH_LINES = 4;

/** Pixels of the device for one of the page. */
export const ratioOfScreen = () => Math.min(window.devicePixelRatio, 2);

/** Draw a pane, and what is looked up in it. */
export function paint(viewer, pane, found) {
  const { state } = viewer;
  const { canvas, hidden, layers, values } = pane;
  const [rows, cols] = viewer.record.images[pane.image].source;
  pane.fit = fitted(viewer, pane);
  const { sx, sy, tx, ty } = pane.fit;
  const frame = [tx, ty, cols * sx, rows * sy];
  const context = canvas.getContext("2d", { alpha: false });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  drawImage(viewer, pane, context);
  context.save();
  context.beginPath();
  context.rect(...frame);
  context.clip();
  if (pane.scaled && state.fill) layers.forEach((map, at) => drawColours(viewer, pane, context, map, values[at]));
  if (layers.length) drawHatching(viewer, pane, context);
  if (pane.scaled && state.contour) layers.forEach((map, at) => drawOutlines(viewer, pane, context, map, values[at]));
  layers.forEach((map, at) => drawCrosses(pane, context, map, hidden[at]));
  drawReferences(viewer, pane, context);
  drawLookup(viewer, pane, context, found);
  context.restore();
}

/**
 * How the image lies in a pane: device pixels per source pixel, where its corner is, the centre of the view,
 * and the share of the image that is seen along each axis.
 */
function fitted(viewer, pane) {
  const { aspect, source: [rows, cols] } = viewer.record.images[pane.image];
  const { canvas } = pane;
  const [x, y, zoom] = viewer.state.view;
  const [tall, wide] = [rows * aspect[0], cols * aspect[1]];
  // A drawing for elsewhere lies as on the screen, in pixels of another size.
  const ratio = pane.ratio ?? ratioOfScreen();
  const { clientWidth: most, clientHeight: highest } = pane.frame;
  const scale = Math.min((most || 480) / wide, (highest || 480) / tall) * zoom;
  // Magnified, an image takes more of its frame before anything of it is hidden.
  const width = Math.max(1, Math.round(Math.min(wide * scale, most || 480) * ratio));
  const height = Math.max(1, Math.round(Math.min(tall * scale, highest || 480) * ratio));
  // A canvas whose size is set loses what is drawn on it.
  if (canvas.width !== width || canvas.height !== height) {
    Object.assign(canvas, { width, height });
    canvas.style.width = `${width / ratio}px`;
    canvas.style.height = `${height / ratio}px`;
  }
  const whole = (size, length) => Math.abs(size - length) < 1.5;
  const across = wide * scale * ratio;
  const down = tall * scale * ratio;
  // All of it, without the part of a pixel that rounding left.
  const sx = (whole(across, width) ? width : across) / cols;
  const sy = (whole(down, height) ? height : down) / rows;
  const share = [width / (sx * cols), height / (sy * rows)];
  const centre = [centreWithin(x, share[0]), centreWithin(y, share[1])];
  const [tx, ty] = [width / 2 - centre[0] * cols * sx, height / 2 - centre[1] * rows * sy];
  return { sx, sy, tx, ty, ratio, centre, share };
}

/** A rectangle [column, row, width, height] of cells in device pixels: [left, top, width, height]. */
function cellBox({ fit: { sx, sy, tx, ty } }, map, [x, y, width, height]) {
  const left = (map.left + x * map.dx) * sx + tx;
  const top = (map.top + y * map.dy) * sy + ty;
  return [left, top, width * map.dx * sx, height * map.dy * sy];
}

function drawColours(viewer, pane, context, map, values) {
  const { record, scratch, state } = viewer;
  const factor = state.smooth ? clamp(Math.floor(512 / Math.max(map.rows, map.cols)), 1, 32) : 1;
  const cells = factor > 1 ? finer(values, map.rows, map.cols, factor) : values;
  const [width, height] = [map.cols * factor, map.rows * factor];
  const pixels = colouredCells(cells, pane.scaled, coloursFor(record, pane.scaled, state.cmap), state);
  Object.assign(scratch, { width, height });
  scratch.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  context.imageSmoothingEnabled = state.smooth;
  context.drawImage(scratch, ...cellBox(pane, map, [0, 0, map.cols, map.rows]));
}

/** Thin grey lines where no cell lies: "not seen" must not read as "nothing found". */
function drawHatching(viewer, pane, context) {
  const { mask } = viewer;
  const { width, height } = pane.canvas;
  const { ratio } = pane.fit;
  const seen = new Path2D();
  for (const map of pane.layers) {
    for (const [row, from, to] of valueRuns(map)) seen.rect(...cellBox(pane, map, [from, row, to - from, 1]));
  }
  Object.assign(mask, { width, height });
  const lines = mask.getContext("2d");
  lines.strokeStyle = "rgba(150,150,150,.6)";
  lines.lineWidth = ratio;
  lines.beginPath();
  for (let x = -height; x < width; x += 9 * ratio) {
    lines.moveTo(x, height);
    lines.lineTo(x + height, 0);
  }
  lines.stroke();
  lines.globalCompositeOperation = "destination-out";
  lines.fill(seen);
  context.drawImage(mask, 0, 0);
}

/** Why a map has no outline, in a few words; empty where it has one. */
function whyUnlined(map, values, scaled) {
  if (Math.max(map.rows, map.cols) > MOST_OUTLINED) return "the cells are too fine";
  // White lines would give weight to a map that has none.
  if (isFaint(values, scaled)) return "the map is faint";
  const { half, all } = halfOf([values]);
  return half > WIDEST * map.count ? `half lies in ${half} of ${all} cells` : "";
}

/** Why no outline is drawn on any pane. */
export function whyNoOutline({ panes }) {
  const each = panes.filter(({ scaled }) => scaled).flatMap(({ layers, scaled, values }) =>
    layers.map((map, at) => whyUnlined(map, values[at], scaled)));
  return each.every(Boolean) ? each[0] : "";
}

/** Lines around the fewest cells that hold most of a map, thinly, and around those that hold half of it. */
function drawOutlines(viewer, pane, context, map, values) {
  if (whyUnlined(map, values, pane.scaled)) return;
  const { scaled: { signed }, fit: { ratio } } = pane;
  const smooth = viewer.state.smooth ? finer(values, map.rows, map.cols, SMOOTH_LINES) : null;
  for (const share of [MOST, HALF]) {
    const cells = heaviest(values, share);
    if (cells.filter(Boolean).length > WIDEST * map.count) continue;
    // Negative values have an outline of their own, which is dashed.
    for (const side of signed ? [1, -1] : [1]) {
      const lines = smooth ? smoothLines(smooth, map, levelOf(values, cells), side)
        : edges(cells.map((inside, at) => inside && side * values[at] > 0), map.rows, map.cols);
      context.setLineDash(side < 0 ? [4 * ratio, 4 * ratio] : []);
      context.globalAlpha = share === MOST ? 0.65 : 1;
      stroke(context, pathOf(pane, map, lines), ratio, share === MOST ? 1 : 1.4);
      context.globalAlpha = 1;
      context.setLineDash([]);
    }
  }
}

/** The smallest magnitude of some cells. */
function levelOf(values, cells) {
  return values.reduce((least, value, at) => (cells[at] ? Math.min(least, Math.abs(value)) : least), Infinity);
}

/** Lines, in cells, where values between cell centres reach a level on one side of zero. */
function smoothLines(smooth, { rows, cols }, level, side) {
  const field = smooth.map((value) => Math.max(0, side * value));
  const lines = isolines(field, rows * SMOOTH_LINES, cols * SMOOTH_LINES, level);
  return lines.map((line) => line.map((end) => end / SMOOTH_LINES));
}

function pathOf(pane, map, lines) {
  const path = new Path2D();
  for (const [x0, y0, x1, y1] of lines) {
    const [left, top] = cellBox(pane, map, [x0, y0, 0, 0]);
    const [right, bottom] = cellBox(pane, map, [x1, y1, 0, 0]);
    path.moveTo(left, top);
    path.lineTo(right, bottom);
  }
  return path;
}

/** White on a dark halo, to be seen on lung and on bone. */
function stroke(context, path, ratio, width, colour = "#fff") {
  context.lineCap = "square";
  context.strokeStyle = "rgba(0,0,0,.55)";
  context.lineWidth = (width + 1.4) * ratio;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = width * ratio;
  context.stroke(path);
}

/** Crosses on the sink cells that are hidden. */
function drawCrosses(pane, context, map, hidden) {
  if (!hidden.size) return;
  const path = new Path2D();
  for (const at of hidden) {
    const [col, row] = [at % map.cols, Math.floor(at / map.cols)];
    const [x, y, w, v] = cellBox(pane, map, [col + 0.25, row + 0.25, 0.5, 0.5]);
    path.moveTo(x, y);
    path.lineTo(x + w, y + v);
    path.moveTo(x + w, y);
    path.lineTo(x, y + v);
  }
  stroke(context, path, pane.fit.ratio, 1, "#bbb");
}

/** What is known from elsewhere, dotted; whole where it is looked up. */
function drawReferences(viewer, pane, context) {
  const { sx, sy, tx, ty, ratio } = pane.fit;
  viewer.record.known.forEach((known, at) => {
    if (known.image !== pane.image) return;
    const path = new Path2D();
    for (const line of known.lines) {
      line.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x * sx + tx, y * sy + ty));
    }
    context.setLineDash(at === viewer.state.known ? [] : [2 * ratio, 3 * ratio]);
    stroke(context, path, ratio, 1.4, "#7dffb0");
    context.setLineDash([]);
  });
}

/** The cell that is looked up, and the box. */
function drawLookup(viewer, pane, context, found) {
  const { sx, sy, tx, ty, ratio } = pane.fit;
  const path = new Path2D();
  if (found?.spot?.image === pane.image && pane.layers.length) {
    const { map, weights: [[at]] } = found;
    path.rect(...cellBox(pane, map, [at % map.cols, Math.floor(at / map.cols), 1, 1]));
  }
  const { box } = viewer.pointer;
  if (box?.image === pane.image) {
    path.rect(box.x0 * sx + tx, box.y0 * sy + ty, (box.x1 - box.x0) * sx, (box.y1 - box.y0) * sy);
  }
  stroke(context, path, ratio, 1.6, "#6fd3ff");
}
