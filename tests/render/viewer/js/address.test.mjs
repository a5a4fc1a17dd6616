import assert from "node:assert/strict";
import test from "node:test";

import { readState, written } from "../../../../groundviz/render/viewer/static/page/address.js";
import { STATE } from "../../../../groundviz/render/viewer/static/page/state.js";

const RECORD = {
  asked: [{ index: -3 }, { index: -2 }], images: [{}, {}], known: [{}], kinds: [["ember"], ["ember_ice"]],
  maps: [
    { method: "attention", layers: [0, 1, 5], measured: [3, 4] },
    { method: "captum:GradientShap", layers: [], measured: [1, 1] },
  ],
  parts: [{}, {}], tokens: Array.from({ length: 40 }, () => ({})),
};
const read = (text, record = RECORD) => {
  const told = new URLSearchParams(text);
  return readState((name) => told.get(name), record);
};
const textOf = (state) => {
  const pairs = written({ ...STATE, ...state }, RECORD).map(([name, text]) => [name, text]);
  return new URLSearchParams(pairs).toString();
};

test("what is set comes back, and what is not set is not written", () => {
  const set = {
    selected: [0, 1, 2, 9], pins: [[3], [4, 5, 6]], method: "captum:GradientShap", compare: ["attention"],
    difference: true, image: 1, slices: [1], layer: 5, head: 3, norm: "log", sinks: true, smooth: true, fill: false,
    contour: false, opacity: 0.5, threshold: 0.25, cmap: "ember", window: 0.125, level: -2.5, invert: true,
    view: [0.25, 0.75, 8], part: 1, known: 0, tile: -1,
  };
  assert.deepEqual(read(textOf(set)), { ...read(""), ...set });
  assert.equal(textOf({}), "");
  assert.equal(textOf({ tool: "box", hovered_patch: [0, 1, 2], layer: 1 }), "layer=1");
  assert.deepEqual(read(textOf({ selected: [-3, -2] })).selected, [-3, -2]);
  assert.equal(new URLSearchParams(textOf({ selected: [0, 1, 2, 9] })).get("selected"), "0..2,9");
});

test("what the record cannot show is not believed", () => {
  const start = read("");
  const hostile = [
    "selected=40", "selected=0,40", "selected=-1", "selected=1.5", "selected=0..99999999", "selected=", "selected=,",
    `selected=${"0..39,".repeat(400)}0`, "part=2", "part=-1", "method=rise", "method=constructor", "compare=__proto__",
    "difference=true", "difference=constructor", "sinks=2", "pins=1;;2", "pins=1;2;3;4;5;6;7;8;9", "image=2",
    "slices=2", "tile=2",
    "layer=2", "layer=1e0x", "head=4", "head=0.5", "norm=toString", "cmap=jet", "opacity=1.1", "opacity=NaN",
    "opacity=Infinity", "opacity=1e99", "threshold=-0.1", "window=0", "window=1e9", "level=99999", "view=0.5,0.5",
    "view=0.5,0.5,0.5", "view=0.5,0.5,25", "view=2,0.5,3", "view=a,b,c", "view=0.5,0.5,2,2", "known=1",
    "__proto__=1", "constructor=1", "hovered_patch=0,0,0", "tool=%3Cscript%3E", "layer=%00",
  ];
  for (const one of hostile) assert.deepEqual(read(one), start, one);
  assert.equal({}.layer, undefined);
});
