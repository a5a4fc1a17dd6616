/** The bytes that groundviz/render/viewer/pack.py wrote, read again. */
/* global OffscreenCanvas */

import { Tiles } from "./tiles.js";

/**
 * One method's maps on one grid.
 *
 * @typedef {object} Maps
 * @property {string} method
 * @property {number[]} shape targets, layers, heads, rows, columns
 * @property {{tokens: number[], foil: ?string}[]} targets what each map is about
 * @property {number} count cells of one map
 * @property {number} rows
 * @property {number} cols
 * @property {number} dy height of a cell in source pixels
 * @property {number} dx width of a cell in source pixels
 * @property {number} top where the first row begins, in source pixels
 * @property {number} left where the first column begins, in source pixels
 * @property {Float32Array} ends four for each map, see groundviz/render/viewer/quantize.py
 * @property {Uint8Array} cells a code for each cell of each map; 255 where there is no value
 * @property {Map<number, number>} singles for a token, the target that is about it alone
 * @property {number[]} alone the targets about one token of the answer
 * @property {Map<string, Float32Array[]>} cache maps by layer and head, the last few
 * @property {Map<number, object>} lazy heads by layer, as a kernel sent them
 */

/** Bytes of a DataView, from the start of a buffer of their own. */
export const ownBytes = (view) =>
  new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

/** Bytes of a text. Newer browsers do it at once; elsewhere a loop is much faster than a call for each byte. */
export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text.trim());
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

export async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The inflated bytes of `count` maps. */
export function codedMaps(content, count) {
  return { ends: new Float32Array(content.slice(0, 16 * count).buffer), cells: content.subarray(16 * count) };
}

/** The numbers of an image that is held as a file of 8 bits: a single tile. */
async function readFile(image, bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const codes = data.filter((_, at) => at % 4 < 3);
  Object.assign(image, { tile: Math.max(width, height), levels: [{ shape: [height, width], tiles: [] }] });
  image.tiles = new Tiles(image, null);
  image.tiles.hold(0, 0, codes);
}

/** An image's numbers, the smallest size of them ready to be drawn. */
export async function readImage(image, blob, ask = null) {
  if (image.file) return readFile(image, blob(image.file));
  image.tiles = new Tiles(image, (at) => inflate(blob(at)), ask);
  await image.tiles.first();
}

/**
 * The records of a payload: one, or several that stand side by side.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<object[]>}
 */
export async function readRecords(bytes) {
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const blob = ([at, length]) => bytes.slice(start + at, start + at + length);
  if (header.packs) {
    const records = await Promise.all(header.packs.map((pack) => readRecords(blob(pack))));
    return records.flat();
  }
  return [await readRecord(header, blob)];
}

async function readRecord(record, blob) {
  const images = record.images.map((image) => readImage(image, blob));
  const maps = record.maps.map((map) => readMaps(map, blob));
  await Promise.all([...maps, ...images]);
  for (const [name, text] of Object.entries(record.colours)) record.colours[name] = fromBase64(text);
  return record;
}

/**
 * Maps with their values.
 *
 * @param {object} map as the header describes it
 * @param {(at: number[]) => Uint8Array} blob
 * @returns {Promise<Maps>}
 */
export async function readMaps(map, blob) {
  const [targets, layers, heads, rows, cols] = map.shape;
  const [dy, top, dx, left] = map.to_source;
  Object.assign(map, { count: rows * cols, rows, cols, dy, top, dx, left, cache: new Map(), lazy: new Map() });
  Object.assign(map, codedMaps(await inflate(blob(map.at)), targets * layers * heads));
  if (map.inside) map.inside = await inflate(blob(map.inside));
  map.singles = new Map();
  map.targets.forEach(({ tokens, foil }, at) => {
    if (tokens.length === 1 && foil == null) map.singles.set(tokens[0], at);
  });
  map.alone = [...map.singles].filter(([token]) => token >= 0).map(([, at]) => at);
  return map;
}
