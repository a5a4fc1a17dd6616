/** An image's numbers at several sizes, in tiles that are read when they come into view. */

import { range } from "./numbers.js";

/** Tiles of the larger sizes that are kept, of half a megabyte each. */
const MOST_KEPT = 160;
/** Pixels of the screen for one of an image, above which a larger size is worth its time. */
const SHARPEST = 1.2;

/** A tile's numbers, as groundviz/render/viewer/pixels.py coded them. */
export function decodeTile(content, rows, cols, channels) {
  const wide = channels === 1;
  const count = rows * cols * channels;
  const out = wide ? new Uint16Array(count) : new Uint8Array(count);
  const width = cols * channels;
  for (let at = 0; at < count; at++) {
    const inRow = at % width;
    const up = at >= width ? out[at - width] : -1;
    const left = inRow >= channels ? out[at - channels] : up;
    const above = up < 0 ? left : up;
    const mean = left < 0 ? 0 : (left + above) >> 1;
    // The array keeps what is left of it modulo 256 or 65,536.
    out[at] = mean + content[at] + (wide ? content[count + at] << 8 : 0);
  }
  return out;
}

export class Tiles {
  /**
   * @param {object} image as the header describes it
   * @param {(at: number[]) => Promise<Uint8Array>} read inflated bytes of the payload
   * @param {?(level: number, tile: number) => void} ask a kernel for what the payload does not hold
   */
  constructor(image, read, ask = null) {
    Object.assign(this, { image, read, ask });
    this.levels = image.levels;
    this.held = new Map();
    this.awaited = new Set();
    this.came = () => {};
  }

  /** Whether a size can be had at all. */
  has(level) {
    return Boolean(this.levels[level].tiles ?? this.ask);
  }

  /** The size that is best shown with so many pixels of the screen for one of the source. */
  levelFor(scale) {
    const { source } = this.image;
    const found = this.levels.findIndex(({ shape }) => (scale * source[1]) / shape[1] <= SHARPEST);
    const best = found < 0 ? this.levels.length - 1 : found;
    return this.has(best) ? best : 0;
  }

  /** Numbers of the tiles of a size that lie in a rectangle [left, top, right, bottom] of its pixels. */
  within(level, [left, top, right, bottom]) {
    const { tile: side } = this.image;
    const across = Math.ceil(this.levels[level].shape[1] / side);
    const numbers = [];
    for (let row = Math.floor(top / side); row < Math.ceil(bottom / side); row++) {
      for (let col = Math.floor(left / side); col < Math.ceil(right / side); col++) numbers.push(row * across + col);
    }
    return numbers;
  }

  /** Whether all these tiles are here; what is not is sent for. */
  ready(level, numbers) {
    let all = true;
    for (const number of numbers) {
      if (this.held.has(`${level}/${number}`)) continue;
      all = false;
      this.load(level, number);
    }
    return all;
  }

  /** All of the smallest size, without which nothing is drawn. */
  async first() {
    const [{ shape: [rows, cols] }] = this.levels;
    const numbers = this.within(0, [0, 0, cols, rows]);
    await Promise.all(numbers.map((number) => this.load(0, number)));
  }

  async load(level, number) {
    const key = `${level}/${number}`;
    const at = this.levels[level].tiles?.[number];
    if (this.awaited.has(key)) return;
    this.awaited.add(key);
    if (at) this.keep(level, number, await this.read(at));
    else this.ask?.(level, number);
  }

  /** Keep a tile's inflated bytes as numbers. */
  keep(level, number, content) {
    const [, , rows, cols] = this.boxOf(level, number);
    this.hold(level, number, decodeTile(content, rows, cols, this.image.channels));
  }

  hold(level, number, codes) {
    const [top, left, rows, cols] = this.boxOf(level, number);
    this.held.set(`${level}/${number}`, { top, left, rows, cols, codes });
    const large = [...this.held.keys()].filter((key) => !key.startsWith("0/"));
    for (const key of large.slice(0, Math.max(0, large.length - MOST_KEPT))) {
      this.held.delete(key);
      this.awaited.delete(key);
    }
    this.came();
  }

  boxOf(level, number) {
    const { tile: side } = this.image;
    const [rows, cols] = this.levels[level].shape;
    const across = Math.ceil(cols / side);
    const [top, left] = [Math.floor(number / across) * side, (number % across) * side];
    return [top, left, Math.min(side, rows - top), Math.min(side, cols - left)];
  }

  get(level, number) {
    return this.held.get(`${level}/${number}`);
  }

  /**
   * The numbers at a place of the source, from the largest size that can be had.
   *
   * @returns {?{numbers: number[], over: number}} `over` tells how many pixels of the source they are a mean of,
   *   along one axis; null where they are still to come
   */
  at({ x, y }) {
    const { source: [rows, cols], channels } = this.image;
    const level = this.has(this.levels.length - 1) ? this.levels.length - 1 : 0;
    const [high, wide] = this.levels[level].shape;
    const [row, col] = [Math.floor((y * high) / rows), Math.floor((x * wide) / cols)];
    if (row < 0 || col < 0 || row >= high || col >= wide) return null;
    const [number] = this.within(level, [col, row, col + 1, row + 1]);
    if (!this.ready(level, [number])) return null;
    const tile = this.get(level, number);
    const first = ((row - tile.top) * tile.cols + col - tile.left) * channels;
    return { numbers: range(first, first + channels).map((one) => tile.codes[one]), over: cols / wide };
  }
}
