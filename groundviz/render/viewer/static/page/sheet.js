/** The panes as one image, with what they are about. */

import { clamp } from "../data/numbers.js";
import { paint } from "./canvas.js";
import { element } from "./element.js";
import { factsOf, knownOf } from "./evidence.js";
import { awaitTiles, marksOf } from "./image.js";
import { lookup } from "./lookup.js";
import { Pen } from "./pen.js";
import { legendOf } from "./readout.js";

/** Pixels of a sheet's width for each pixel of its letters' height, the least and the most of that. */
const LETTERS = 42;
const LEAST_LETTERS = 11;
const MOST_LETTERS = 32;
/** Pixels of a column, below which texts are not read. */
const NARROWEST = 300;
/** Pixels of a sheet that every browser can hold. */
const MOST_AREA = 5e7;
const QUIET = { colour: "quiet" };
const ASIDE = { colour: "quiet", scale: 0.9 };

const columnsOf = ({ panes, stage }) =>
  Math.min(panes.length, Number(stage.style.getPropertyValue("--gv-columns")) || 1);

/** How large a pane is drawn: device pixels for one of the screen, at some pixels for one of the source. */
function ratioOf({ panes: [{ fit: { ratio, sx, sy } }] }, times) {
  return times ? (times * ratio) / Math.min(sx, sy) : ratio;
}

/** Width and height in pixels of the first pane on a sheet; null where the sheet would be too large. */
export function sheetSize(viewer, times) {
  const scale = ratioOf(viewer, times) / viewer.panes[0].fit.ratio;
  const panes = [viewer, ...viewer.peers].flatMap((one) => one.panes.map(({ canvas }) => canvas));
  const area = panes.reduce((sum, { width, height }) => sum + width * height * scale ** 2, 0);
  if (area > MOST_AREA) return null;
  const [{ width, height }] = panes;
  return [Math.round(width * scale), Math.round(height * scale)];
}

/**
 * Draw all panes on a sheet, those of explanations beside them as well.
 *
 * @param {object} viewer
 * @param {{times: number, texts: boolean}} wish pixels for each of the source, 0 for those of the screen; and
 *   whether question and answer stand above
 * @returns {Promise<HTMLCanvasElement>}
 */
export async function sheetOf(viewer, { times, texts }) {
  const ratio = ratioOf(viewer, times);
  const sections = [];
  for (const one of [viewer, ...viewer.peers]) {
    const drawings = [];
    for (const pane of one.panes) drawings.push(await drawnAt(one, pane, ratio));
    sections.push({ viewer: one, drawings, columns: columnsOf(one), texts });
  }
  const widest = Math.max(...sections.flatMap(({ drawings }) => drawings.map(({ canvas }) => canvas.width)));
  const cell = Math.max(widest, NARROWEST);
  const sheet = element("canvas");
  const size = clamp(Math.round(cell / LETTERS), LEAST_LETTERS, MOST_LETTERS);
  const pen = new Pen(sheet.getContext("2d"), size, getComputedStyle(viewer.root));
  const width = sections.reduce((sum, { columns }) => sum + columns * (cell + size) + size, 0);
  const height = composed(pen, viewer, sections, { cell, width });
  Object.assign(sheet, { width, height });
  pen.context.fillStyle = pen.colour("ground");
  pen.context.fillRect(0, 0, width, height);
  pen.dry = false;
  composed(pen, viewer, sections, { cell, width });
  return sheet;
}

/** A pane as it is on the screen, in another number of pixels. */
async function drawnAt(viewer, pane, ratio) {
  const drawing = { ...pane, canvas: element("canvas"), ratio };
  paint(viewer, drawing, lookup(viewer));
  if (await awaitTiles(viewer, drawing)) paint(viewer, drawing, lookup(viewer));
  return drawing;
}

/** All sections side by side, and below them how to read them; the height of the whole. */
function composed(pen, viewer, sections, { cell, width }) {
  const { size } = pen;
  const places = [];
  let x = size;
  for (const { columns } of sections) {
    places.push(x);
    x += columns * (cell + size) + size;
  }
  // Their panes begin in line.
  const heads = sections.map((section, at) => drawHead(pen, section, { x: places[at], y: size, cell }));
  const y = Math.max(...heads) + size;
  const feet = sections.map((section, at) => drawPanes(pen, section, { x: places[at], y, cell }));
  const below = Math.max(...feet) + size / 2;
  return Math.ceil(pen.write(legendOf(viewer), size, below, width - 2 * size, ASIDE) + size);
}

function drawHead(pen, { viewer, columns, texts }, { x, y, cell }) {
  const width = columns * (cell + pen.size) - pen.size;
  return headOf(viewer, texts).reduce((below, [text, look]) => pen.write(text, x, below, width, look), y);
}

function drawPanes(pen, { viewer, drawings, columns }, { x, y, cell }) {
  let below = y;
  for (let at = 0; at < drawings.length; at += columns) {
    below = drawRow(pen, viewer, drawings.slice(at, at + columns), { x, y: below, cell }) + pen.size;
  }
  return below;
}

/** What stands above the panes: texts, each with its look. */
function headOf({ beware, panes, record, verdict }, texts) {
  const facts = factsOf(knownOf(record, panes.map(({ method }) => method)));
  // The first fact is the answer.
  const known = facts.slice(+texts).map((pair) => pair.join(": ")).join(" · ");
  const answer = record.tokens.filter(({ spoken }) => spoken).map(({ before, text }) => before + text).join("");
  const given = record.source === "generated" ? "" : " given to the model";
  const name = record.label ? `${record.name} · ${record.label}` : record.name;
  const words = [
    [record.question, { bold: true }], ...record.before.map((one) => [one, QUIET]),
    [`Answer${given}, probability ${record.sure}:`, ASIDE], [answer.trim(), {}],
  ];
  const lines = [...beware.children].map((one) => one.textContent);
  return [
    [name, { bold: true }], ...(texts ? words : []), [record.cut && `The answer is ${record.cut}`, { colour: "warn" }],
    [known, {}], [verdict.textContent, QUIET],
    ...lines.map((line) => [line, { colour: "warn" }]),
  ];
}

/** Panes side by side: their captions, their images in line, their scales. */
function drawRow(pen, viewer, row, { x, y, cell }) {
  const { size } = pen;
  const places = row.map((_, at) => x + at * (cell + size));
  const top = Math.max(...row.map((pane, at) => drawCaption(pen, pane, { x: places[at], y, cell }))) + size / 3;
  const foot = top + Math.max(...row.map(({ canvas }) => canvas.height)) + size / 2;
  return Math.max(...row.map((pane, at) => {
    pen.image(pane.canvas, places[at], top);
    drawMarks(pen, viewer, pane, { x: places[at], y: top });
    return drawScale(pen, pane, { x: places[at], y: foot, cell });
  }));
}

function drawCaption(pen, { title, undone, detail }, { x, y, cell }) {
  let below = pen.write(title.textContent, x, y, cell, { bold: true });
  below = pen.write(undone.textContent, x, below, cell, { colour: "warn" });
  return pen.write(detail.title, x, below, cell, ASIDE);
}

/** The bar with its values, and what they mean. */
function drawScale(pen, pane, { x, y, cell }) {
  const { size } = pen;
  if (!pane.scaled) return pen.write(pane.none.textContent, x, y, cell, {});
  // It stands under the first pane, for all.
  if (pane.scale.hidden) return y;
  const sides = pane.sides.map((side) => (side.hidden ? "" : side.textContent));
  const [before, behind] = sides.map((side) => (side ? 4.5 * size : 0));
  const wide = Math.min(cell, pane.canvas.width) - before - behind;
  pen.image(pane.bar, x + before, y, wide, 0.7 * size);
  pen.mark(sides[0], x, y - 0.15 * size, [0, 0], ASIDE);
  pen.mark(sides[1], x + before + wide + 0.4 * size, y - 0.15 * size, [0, 0], ASIDE);
  pane.ticks.filter((tick) => !tick.hidden).forEach((tick, at) => {
    const share = parseFloat(tick.style.left) / 100;
    // The numbers of the ends stay within the bar.
    pen.mark(tick.textContent, x + before + share * wide, y + size, [at < 2 ? share : 0.5, 0], { scale: 0.9 });
  });
  const rule = `${pane.unit.textContent} · ${pane.rule.textContent}`;
  const slices = pane.strip.node.hidden ? "" : pane.strip.says.textContent;
  const lines = [rule, pane.summit.textContent, slices];
  return lines.reduce((below, line) => pen.write(line, x, below, cell, ASIDE), y + 2.2 * size);
}

/** What stands on an image: its window, the letters of its edges, and its bar of known length. */
function drawMarks(pen, viewer, pane, { x, y }) {
  if (pen.dry) return;
  const { context, size } = pen;
  const { canvas: { width, height }, fit: { ratio } } = pane;
  const { letters, place, shown, bar } = marksOf(viewer, pane);
  const look = { colour: "on-image" };
  context.save();
  Object.assign(context, { shadowColor: "#000", shadowBlur: size / 4, strokeStyle: "#fff", lineWidth: size / 8 });
  pen.mark(shown, x + size / 2, y + height - size / 2, [0, 1], look);
  pen.mark(place, x + size / 2, y + size / 2, [0, 0], look);
  const [middle, centre] = [x + width / 2, y + height / 2];
  const edges = [[x + size / 2, centre, [0, 0.5]], [middle, y + size / 2, [0.5, 0]],
    [x + width - size / 2, centre, [1, 0.5]], [middle, y + height - size / 2, [0.5, 1]]];
  edges.forEach(([left, top, anchor], at) => pen.mark(letters[at], left, top, anchor, { ...look, bold: true }));
  if (bar) {
    const [right, foot] = [x + width - size, y + height - size / 2];
    const left = right - bar.pixels * ratio;
    pen.mark(bar.text, (left + right) / 2, foot - size / 3, [0.5, 1], look);
    context.stroke(new Path2D(`M${left} ${foot - size / 2}V${foot}H${right}V${foot - size / 2}`));
  }
  context.restore();
}
