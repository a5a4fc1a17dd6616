/** What the viewer reads of a payload, as JSON: `node read_payload.mjs PAYLOAD LAYER HEAD TOKEN,TOKEN`. */

import { readFile } from "node:fs/promises";
import { argv, stdout } from "node:process";

import { combined, mapsOf } from "../../../../groundviz/render/viewer/static/data/maps.js";
import { readRecords } from "../../../../groundviz/render/viewer/static/data/payload.js";
import { colouredCells, coloursFor, scaleOver } from "../../../../groundviz/render/viewer/static/data/scale.js";

// Node has no images; what is read of one is the size of its PNG.
globalThis.createImageBitmap = async (blob) => ({ bytes: blob.size });

const [, , place, layer, head, tokens] = argv;
const file = await readFile(place);
const chosen = { tokens: tokens.split(",").map(Number), foil: null };

function readMap(record, map) {
  const maps = mapsOf(map, +layer, +head, () => {});
  if (typeof maps === "string") return { method: map.method, why: maps };
  const values = combined(map, maps, chosen);
  const scale = scaleOver([values], map.signed, true);
  const pixels = scale && colouredCells(values, scale, coloursFor(record, scale, ""), { opacity: 0.5, threshold: 0 });
  const { method, rows, cols, inside } = map;
  const list = (array) => array && [...array].map((value) => (Number.isNaN(value) ? null : value));
  return { method, rows, cols, scale, values: list(values), pixels: list(pixels), inside: list(inside) };
}

// A buffer of its own, as a page has it: that of a small file is shared in node.
const records = await readRecords(new Uint8Array(file));
stdout.write(JSON.stringify(records.map((record) => ({
  name: record.name,
  words: record.tokens.map(({ text }) => text),
  images: record.images.map(({ bitmap }) => bitmap.bytes),
  colours: Object.fromEntries(Object.entries(record.colours).map(([name, table]) => [name, [...table]])),
  maps: record.maps.map((map) => readMap(record, map)),
}))));
