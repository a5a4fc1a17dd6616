/** Values to positions on a scale, and positions to colours. */

import { clamp } from "./numbers.js";

/**
 * @typedef {object} Scale
 * @property {number} low value at the start of the colour bar
 * @property {number} high value at its end
 * @property {boolean} clipped whether values lie beyond the ends
 * @property {boolean} signed whether zero lies in the middle
 */

/** A value that a share of the others lie below. */
function percentile(sorted, share) {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/**
 * The ends of a colour bar over arrays of values, by the rule of groundviz/render/base/colour.py.
 *
 * @param {Float32Array[]} arrays NaN where there is no value
 * @param {boolean} signed
 * @param {boolean} clip whether to end at the 99th percentile
 * @returns {?Scale} null where all values are the same
 */
export function scaleOver(arrays, signed, clip) {
  const kept = [];
  for (const values of arrays) {
    for (const value of values) {
      if (!Number.isNaN(value)) kept.push(signed ? Math.abs(value) : value);
    }
  }
  const sorted = Float64Array.from(kept).sort();
  if (!sorted.length) return null;
  let low = sorted[0];
  let high = sorted[sorted.length - 1];
  const limit = clip ? percentile(sorted, 0.99) : high;
  const clipped = low < limit && limit < high;
  if (clipped) high = limit;
  if (signed) low = -high;
  return high > low ? { low, high, clipped, signed } : null;
}

/** Whether every cell has the same value: such maps show no evidence. */
export function isFlat(arrays) {
  const seen = new Set();
  for (const values of arrays) {
    for (const value of values) {
      if (!Number.isNaN(value) && seen.add(value).size > 1) return false;
    }
  }
  return true;
}

/** Where a value lies on a scale, from 0 to 1. */
export const position = (value, scale) => clamp((value - scale.low) / (scale.high - scale.low), 0, 1);

/** How far a value is from nothing: from 0 to 1, or from -1 to 1 on a signed scale. */
export const strength = (value, scale) =>
  scale.signed ? 2 * position(value, scale) - 1 : position(value, scale);

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
    const at = position(values[i], scale);
    const strong = scale.signed ? Math.abs(2 * at - 1) : at;
    if (strong < threshold) continue;
    const entry = 3 * Math.min(255, Math.floor(at * 256));
    pixels[4 * i] = colours[entry];
    pixels[4 * i + 1] = colours[entry + 1];
    pixels[4 * i + 2] = colours[entry + 2];
    pixels[4 * i + 3] = Math.round(255 * opacity * strong);
  }
  return pixels;
}

/** The 256 colours as one row of pixels. */
export function colourBar(colours) {
  const pixels = new Uint8ClampedArray(1024).fill(255);
  for (let i = 0; i < 256; i++) pixels.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
  return pixels;
}

/** What a window makes of the 256 levels of an image. */
export function windowCurve({ level, window: width, invert }) {
  const curve = new Uint8ClampedArray(256);
  for (let i = 0; i < 256; i++) {
    const value = 255 * clamp((i / 255 - (level - width / 2)) / width, 0, 1);
    curve[i] = invert ? 255 - value : value;
  }
  return curve;
}
