/** What the viewer reads of a payload, as JSON: `node read_payload.mjs PAYLOAD LAYER HEAD TOKEN,TOKEN CURVE`. */

import { readFile } from "node:fs/promises";
import { argv, stdout } from "node:process";

import { combined, mapsOf } from "../../../../groundviz/render/viewer/static/data/maps.js";
import { HALF, heaviest, MOST } from "../../../../groundviz/render/viewer/static/data/mass.js";
import { readRecords } from "../../../../groundviz/render/viewer/static/data/payload.js";
import {
  colourBar, colouredCells, coloursFor, extentOf, ruleOf, scaleOver, summitOf, ticksOf,
} from "../../../../groundviz/render/viewer/static/data/scale.js";

const [, , place, layer, head, tokens, curve] = argv;
const STATE = { opacity: 0.85, threshold: 0 };
const file = await readFile(place);
const chosen = { tokens: tokens.split(",").map(Number), foil: null };

function readMap(record, map) {
  const maps = mapsOf(map, +layer, +head, () => {});
  if (typeof maps === "string") return { method: map.method, why: maps };
  const values = combined(map, maps, chosen);
  const { method, rows, cols, inside } = map;
  const list = (array) => array && [...array].map((value) => (Number.isNaN(value) ? null : value));
  const found = { method, rows, cols, values: list(values), inside: list(inside) };
  const scale = scaleOver(extentOf(values, map, "“a”"), curve, map.signed);
  return scale ? { ...found, ...drawn(record, values, scale) } : found;
}

/** How the values are drawn, and what is told of it. */
function drawn(record, values, scale) {
  const colours = coloursFor(record, scale, "");
  const { top, highest, signed } = scale;
  return {
    scale: { top, highest, signed }, rule: ruleOf(scale), summit: summitOf(scale), ticks: ticksOf(scale),
    pixels: [...colouredCells(values, scale, colours, STATE)], bar: [...colourBar(colours, scale, STATE)],
    half: heaviest(values, HALF), most: heaviest(values, MOST),
  };
}

// A buffer of its own, as a page has it: that of a small file is shared in node.
const records = await readRecords(new Uint8Array(file));
stdout.write(JSON.stringify(records.map((record) => ({
  name: record.name,
  words: record.tokens.map(({ text }) => text),
  images: record.images.map(({ tiles }) => [...tiles.get(0, 0).codes]),
  colours: Object.fromEntries(Object.entries(record.colours).map(([name, table]) => [name, [...table]])),
  maps: record.maps.map((map) => readMap(record, map)),
}))));
