/** Maps for what is chosen: tokens, a layer, a head. */

import { range, same } from "./numbers.js";

/** A cell is a sink where it is among this share of the strongest cells of so many of the tokens. */
const SINK_TOP = 0.02;
const SINK_TOKENS = 0.9;
const MOST_CACHED = 12;

/** What a reader of a page without heads is told. */
export const LEFT_OUT = "Single heads are not in this page. Use explanation.view().";

/** Index of a layer in a map; -1 for all of them, also where it does not tell layers apart. */
export const layerIndex = (map, layer) => (layer < 0 ? -1 : map.layers.indexOf(layer));

/** How many heads were measured, of which a payload may hold fewer. */
export const headsOf = (map) => map.measured[1];

/**
 * Which targets of a map a selection adds up, or null where it was not measured.
 *
 * @param {import("./payload.js").Maps} map
 * @param {{tokens: number[], foil: ?string}} chosen
 * @returns {?number[]}
 */
export function targetsOf(map, chosen) {
  const whole = map.targets.findIndex(({ tokens, foil }) => same(tokens, chosen.tokens) && foil === chosen.foil);
  if (whole >= 0) return [whole];
  if (chosen.foil != null || !chosen.tokens.length) return null;
  const found = chosen.tokens.map((token) => map.singles.get(token));
  return found.includes(undefined) ? null : found;
}

/** What of a map can be shown for one layer and head: [source, layer indices, head indices], or a reason. */
function section(map, layer, head, ask) {
  const at = layerIndex(map, layer);
  const [, mostLayers, mostHeads] = map.shape;
  const layers = at < 0 ? range(0, mostLayers) : [at];
  if (head < 0 || headsOf(map) === 1) return [map, layers, range(0, mostHeads)];
  if (mostHeads === headsOf(map)) return [map, layers, [head]];
  if (at < 0 && map.measured[0] > 1) return "Choose a layer to see its heads.";
  const key = Math.max(0, at);
  if (!map.lazy.has(key)) ask(map, key);
  const found = map.lazy.get(key);
  if (found === "asked") return "Fetching heads …";
  if (!found) return LEFT_OUT;
  return [found, [0], [head]];
}

/** What the codes of one map mean, in the steps of groundviz/render/viewer/quantize.py. 255 has no value. */
function decode(table, [low, first, last, high]) {
  for (let code = 0; code < 255; code++) {
    if (code < 27) table[code] = low + ((first - low) * code) / 27;
    else if (code < 227) table[code] = first + ((last - first) * (code - 27)) / 200;
    else table[code] = last + ((high - last) * (code - 227)) / 27;
  }
}

/** The sum of one target's maps over layers and heads, divided. */
function summed([source, layers, heads], target, count, divide) {
  const [, mostLayers, mostHeads] = source.shape;
  const table = new Float64Array(256).fill(NaN);
  const total = new Float64Array(count);
  for (const layer of layers) {
    for (const head of heads) {
      const at = (target * mostLayers + layer) * mostHeads + head;
      decode(table, source.ends.subarray(4 * at, 4 * at + 4));
      for (let i = 0; i < count; i++) total[i] += table[source.cells[at * count + i]];
    }
  }
  for (let i = 0; i < count; i++) total[i] /= divide;
  return Float32Array.from(total);
}

/** One target's map over the layers and heads of a section, as the method combines them. */
function reduced(map, found, target) {
  const [, layers, heads] = found;
  let divide = 1;
  if (map.reduce[1] === "mean") divide *= layers.length;
  if (map.reduce[2] === "mean") divide *= heads.length;
  return summed(found, target, map.count, divide);
}

/**
 * The map of a selection alone, for one layer and head; -1 for all of them.
 *
 * @returns {?Float32Array | string} null where it was not measured, a sentence where it is not here
 */
export function mapOf(map, [layer, head], chosen, ask) {
  const found = section(map, layer, head, ask);
  if (typeof found === "string") return found;
  const maps = [];
  for (const target of targetsOf(map, chosen) ?? []) maps[target] = reduced(map, found, target);
  return combined(map, maps, chosen);
}

/**
 * The map of each target, for one layer and head; -1 for all of them.
 *
 * @param {import("./payload.js").Maps} map
 * @param {number} layer
 * @param {number} head
 * @param {(map: object, layer: number) => void} ask called where heads are not in the payload
 * @returns {Float32Array[] | string} why there are none, as a sentence
 */
export function mapsOf(map, layer, head, ask) {
  const key = `${layer}/${head}`;
  if (map.cache.has(key)) return map.cache.get(key);
  const found = section(map, layer, head, ask);
  if (typeof found === "string") return found;
  const maps = map.targets.map((_, target) => reduced(map, found, target));
  map.cache.set(key, maps);
  if (map.cache.size > MOST_CACHED) map.cache.delete(map.cache.keys().next().value);
  return maps;
}

/** The map of a selection, or null where it was not measured. */
export function combined(map, maps, chosen) {
  const found = targetsOf(map, chosen);
  if (!found) return null;
  const divide = map.reduce[0] === "mean" ? found.length : 1;
  return maps[found[0]].map((_, cell) => found.reduce((total, at) => total + maps[at][cell], 0) / divide);
}

/**
 * Cells that are among the strongest of nearly every token: they answer to none of them.
 *
 * @returns {Set<number>}
 */
export function sinksOf(map, maps) {
  if (maps.sinks) return maps.sinks;
  const top = Math.max(1, Math.round(SINK_TOP * map.count));
  const hits = new Uint16Array(map.count);
  for (const at of map.alone) {
    const size = (cell) => Math.abs(maps[at][cell]) || 0;
    const order = [...maps[at].keys()].sort((a, b) => size(b) - size(a));
    for (const cell of order.slice(0, top)) hits[cell]++;
  }
  // Of two tokens, any cell may be strong by chance.
  const enough = map.alone.length > 2 ? SINK_TOKENS * map.alone.length : Infinity;
  maps.sinks = new Set([...hits.keys()].filter((cell) => hits[cell] >= enough));
  return maps.sinks;
}

/** Values without those of some cells. */
export const without = (values, cells) =>
  cells.size ? values.map((value, at) => (cells.has(at) ? NaN : value)) : values;
