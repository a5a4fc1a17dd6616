/** Values to positions on a scale, and positions to colours, by the rules of groundviz/render/base/colour.py. */

import { printed } from "./numbers.js";

/** The ground on which a colour bar shows what the colours look like. */
const GROUND = 0.5;
/** The logarithmic scale ends at a thousandth of its top. */
const DECADES = 3;
/** Cells that differ by less than this share of the largest are alike, as in groundviz/record/parts/maps.py. */
const ROUNDING = 8 * 2 ** -23;
/** Of a scale. */
const FAINT = 0.25;
const CURVES = {
  root: Math.sqrt,
  linear: (share) => share,
  log: (share) => Math.max(0, 1 + Math.log10(share) / DECADES),
};
const CURVE_NAMES = {
  root: "square root of the value",
  linear: "the value",
  log: `logarithm of the value over ${DECADES} decades`,
};
/** Shares of the top that have ticks, in the order in which they matter. */
const TICKS = { plain: [0, 1, 0.25, 0.5], log: [0, 1, 0.1, 0.01], signed: [-1, 1, 0, -0.25, 0.25] };
const OVER = {
  map: "", all: ", one scale for all maps of this unit", each: ", each map its own scale", beside: "",
};

/**
 * One map, or several of which only the largest value counts.
 *
 * @typedef {object} Extent
 * @property {number} highest the largest magnitude
 * @property {number} least what a scale of it spans at least
 * @property {number} count how many maps these are, those without evidence left out
 * @property {?{map: object, at: number, label: string, negative: boolean}} peak the map that holds the
 *   largest, its cell, and whether that is below zero
 */

/**
 * @typedef {object} Scale
 * @property {number} top value at the end of the colour bar, which starts at zero or at minus `top`
 * @property {number} highest the largest magnitude; below `top` only where it is small
 * @property {"root" | "linear" | "log"} curve what of a value its colour follows
 * @property {boolean} signed whether zero lies in the middle
 * @property {"map" | "all" | "each" | "beside"} over what it was taken from: one map, all of them, each its own,
 *   or the maps beside it
 * @property {?object} peak as in `Extent`
 */

/** The curve that a choice of scale stands for. */
export const curveOf = (norm) => (norm in CURVES ? norm : "root");

/** @returns {Extent} of several maps, or of several extents, as one */
export function joined(extents) {
  const found = { highest: 0, least: 0, count: 0, peak: null };
  for (const one of extents) {
    if (one.highest > found.highest) Object.assign(found, { highest: one.highest, peak: one.peak });
    found.least = Math.max(found.least, one.least);
    found.count += one.count;
  }
  return found;
}

/**
 * How far the values of one map reach.
 *
 * @param {Float32Array} values NaN where there is no value
 * @param {object} map
 * @param {string} label what the map is about
 * @returns {Extent}
 */
export function extentOf(values, map, label) {
  // A map without evidence does not change the scale of the others.
  if (isFlat([values])) return joined([]);
  let at = -1;
  let highest = 0;
  values.forEach((value, cell) => {
    if (!Number.isFinite(value) || Math.abs(value) <= highest) return;
    highest = Math.abs(value);
    at = cell;
  });
  return { highest, least: map.least, count: 1, peak: { map, at, label, negative: values[at] < 0 } };
}

/**
 * A scale from zero to the largest magnitude: nothing is clipped.
 *
 * @param {Extent} extent
 * @param {"root" | "linear" | "log"} curve
 * @param {boolean} signed
 * @param {"map" | "all" | "each"} [over]
 * @returns {?Scale} null where there is no evidence
 */
export function scaleOver({ highest, least, count, peak }, curve, signed, over = count > 1 ? "all" : "map") {
  const top = Math.max(highest, least);
  return highest > 0 ? { top, highest, curve, signed, over, peak } : null;
}

/** Whether no cell differs from another by more than rounding: such maps show no evidence. */
export function isFlat(arrays) {
  let low = Infinity;
  let high = -Infinity;
  for (const values of arrays) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return !(high - low > ROUNDING * Math.max(Math.abs(low), Math.abs(high)));
}

/** How far a value is from nothing, from 0 to 1. */
export function strength(value, { top, curve, signed }) {
  const size = signed ? Math.abs(value) : Math.max(value, 0);
  return CURVES[curve](Math.min(size / top, 1));
}

/** Where a value lies on a scale, from 0 to 1. */
export const position = (value, scale) =>
  scale.signed ? 0.5 + 0.5 * Math.sign(value) * strength(value, scale) : strength(value, scale);

/** Whether the colours of a map can hardly be told from none. */
export const isFaint = (values, scale) => !values.some((value) => strength(value, scale) >= FAINT);

/** Whether the maps do not reach what their scale at least spans. */
export const isSmall = ({ highest, over, top }) => over !== "beside" && highest < top;

/** Positions on the bar and their values: the ends first, then what lies between. */
export function ticksOf(scale) {
  const plain = scale.curve === "log" ? "log" : "plain";
  const values = TICKS[scale.signed ? "signed" : plain].map((share) => share * scale.top);
  return values.map((value) => [position(value, scale), value]);
}

/** How values become colours, in words. */
export function ruleOf(scale) {
  let span = scale.signed ? "± the highest" : "0 to the highest";
  if (scale.over === "beside") span = "± the ends of the scales beside it";
  if (isSmall(scale)) span = `up to ${printed(scale.top)}, for the highest is under that`;
  return `${CURVE_NAMES[scale.curve]}, ${span}${OVER[scale.over]}`;
}

/** The highest value, or the strongest where that is below zero, and its place, in words. */
export function summitOf({ highest, over, peak: { map, at, label, negative } }) {
  const whose = over === "all" ? ` for ${label}` : "";
  const [row, column] = [Math.floor(at / map.cols) + 1, (at % map.cols) + 1];
  // Which image and tile, where there are several.
  const place = map.place ? ` of ${map.place}` : "";
  const value = negative ? `strongest ${printed(-highest)}` : `highest ${printed(highest)}`;
  return `${value}${whose} at row ${row}, column ${column}${place}`;
}

/** The names of the colours for maps with or without a sign. */
export const colourNames = (record, signed) => record.kinds[+Boolean(signed)];

/** The 256 colours, three bytes each, for a scale: those that were chosen where they fit it. */
export function coloursFor(record, scale, wish) {
  const names = colourNames(record, scale.signed);
  return record.colours[names.includes(wish) ? wish : names[0]];
}

/**
 * The colours of cells, four bytes each. They are opaque where a value is strong.
 *
 * @param {Float32Array} values
 * @param {Scale} scale
 * @param {Uint8Array} colours
 * @param {{opacity: number, threshold: number}} state
 * @returns {Uint8ClampedArray}
 */
export function colouredCells(values, scale, colours, { opacity, threshold }) {
  const pixels = new Uint8ClampedArray(4 * values.length);
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    const strong = strength(values[i], scale);
    if (strong < threshold) continue;
    const entry = 3 * Math.round(255 * position(values[i], scale));
    pixels[4 * i] = colours[entry];
    pixels[4 * i + 1] = colours[entry + 1];
    pixels[4 * i + 2] = colours[entry + 2];
    pixels[4 * i + 3] = Math.round(255 * opacity * strong);
  }
  return pixels;
}

/** A scale's whole range as one row of 256 pixels, as it looks over mid-grey. */
export function colourBar(colours, { signed }, { opacity, threshold }) {
  const pixels = new Uint8ClampedArray(1024).fill(255);
  for (let i = 0; i < 256; i++) {
    const strong = signed ? Math.abs((2 * i) / 255 - 1) : i / 255;
    const covered = strong < threshold ? 0 : opacity * strong;
    for (let c = 0; c < 3; c++) {
      pixels[4 * i + c] = covered * colours[3 * i + c] + (1 - covered) * 255 * GROUND;
    }
  }
  return pixels;
}
