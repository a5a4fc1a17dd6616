/** What keys do. */

import { clamp, nextOf } from "../data/numbers.js";
import { middleOf, rowAndColumn } from "../data/cells.js";
import { toggleFull, togglePanel } from "./arrange.js";
import { turnedByKey } from "./stacks.js";
import { NORMS } from "./state.js";

export const KEYS = [
  ["← →  Home End", "token; with Shift, a phrase"],
  ["↑ ↓  [ ]", "layer, head"],
  ["l", "all layers and heads as small images"],
  ["m  d  p", "next method, difference of the first two panes, pin these words in a pane"],
  ["Page Up  Page Down", "the slice of a stack before, or behind; so does the wheel over it"],
  ["a", "play the words one after the other, pause"],
  ["s  c", "cells or smooth; colours and outline, outline only, colours only"],
  ["o  t  n  k", "opacity, threshold, next scale, hide sink cells"],
  ["g", "next reference: the value of each token inside it"],
  ["w  b", "window tool, box tool"],
  ["i  + −  r", "invert the image, zoom, reset the view"],
  ["f  h", "full screen, hide or show all but the images"],
  ["Esc", "clear selection, pins and box"],
  ["Shift-click  Ctrl-click", "a phrase, several tokens"],
  ["In the image",
    "hover or arrow keys: the value of each token here. Click: keep. Shift-drag: box. Right-drag: window. "
      + "Ctrl-wheel or two fingers: zoom"],
];

/** Steps to the right and down. */
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** Slices on, or back. */
const TURNS = { PageUp: -1, PageDown: 1 };
const OF_A_SLIDER = /^(Home|End|PageUp|PageDown| |Tab)$/;

/** Whether a control needs a key for itself. */
export function isForControl(tag, key) {
  if (tag === "SELECT") return key !== "Escape";
  return tag === "INPUT" && (key in ARROWS || OF_A_SLIDER.test(key));
}

/** Colours and outline, outline alone, colours alone. */
function nextDrawing({ fill, contour }) {
  if (fill && contour) return { fill: false };
  return contour ? { fill: true, contour: false } : { contour: true };
}

/** The state's changes by key, for keys that do nothing else. */
const CHANGES = {
  m: (state, { methods }) => ({ method: nextOf(methods, state.method), layer: -1, head: -1 }),
  "[": (state) => ({ head: Math.max(-1, state.head - 1) }),
  "]": (state, { heads }) => ({ head: Math.min(heads - 1, state.head + 1) }),
  d: (state) => ({ difference: !state.difference }),
  s: (state) => ({ smooth: !state.smooth }),
  c: nextDrawing,
  o: (state) => ({ opacity: nextOf([0.25, 0.5, 0.85, 1, 0], state.opacity) }),
  t: (state) => ({ threshold: nextOf([0, 0.25, 0.5, 0.75], state.threshold) }),
  n: (state) => ({ norm: nextOf(Object.keys(NORMS), state.norm) }),
  k: (state) => ({ sinks: !state.sinks }),
  g: (state, { record }) => ({ known: nextOf([...record.known.keys(), -1], state.known) }),
  w: (state) => ({ tool: state.tool === "window" ? "pan" : "window" }),
  b: (state) => ({ tool: state.tool === "box" ? "pan" : "box" }),
  i: (state) => ({ invert: !state.invert }),
};

/**
 * What a key changes in the state, or null where it does something else.
 *
 * @param {string} key
 * @param {object} state
 * @param {{methods: string[], heads: number, record: object}} choices what there is to choose from
 */
export function changesFor(key, state, choices) {
  return Object.hasOwn(CHANGES, key) ? CHANGES[key](state, choices) : null;
}

/** What keys do besides. */
const ACTIONS = {
  Home: (viewer, event) => viewer.words.go(-Infinity, event.shiftKey),
  End: (viewer, event) => viewer.words.go(Infinity, event.shiftKey),
  p: (viewer) => viewer.pin(),
  l: (viewer) => viewer.wall.open(),
  a: (viewer) => viewer.player.toggle(),
  "+": (viewer) => viewer.zoom(1.25),
  "=": (viewer) => viewer.zoom(1.25),
  "-": (viewer) => viewer.zoom(0.8),
  r: (viewer) => viewer.reset(),
  f: toggleFull,
  h: togglePanel,
  "?": ({ sheet }) => { sheet.open = !sheet.open; },
  Escape: (viewer) => viewer.clear(),
};

/** Take a key that is pressed anywhere in the viewer. */
export function keyed(viewer, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // What is typed here is not meant for the notebook.
  event.stopPropagation();
  if (isForControl(event.target.tagName, event.key)) return;
  if (pressed(viewer, event)) event.preventDefault();
}

function pressed(viewer, event) {
  const { key, target } = event;
  const arrow = ARROWS[key];
  const enters = key === "Enter" || key === " ";
  const pane = viewer.panes.find(({ canvas }) => canvas === target);
  const changes = changesFor(key, viewer.state, viewer);
  if (key in TURNS) return turnedByKey(viewer, pane, TURNS[key]);
  if (pane && arrow) walk(viewer, pane, arrow);
  else if (pane && enters) viewer.pointer.keep(viewer.pointer.spot);
  else if (arrow) move(viewer, arrow, event.shiftKey);
  else if (enters && target.getAttribute("role") === "option") viewer.words.pick(viewer.words.cursor, event);
  else if (changes) viewer.set(changes);
  else if (Object.hasOwn(ACTIONS, key)) ACTIONS[key](viewer, event);
  else return false;
  return true;
}

/** To the next token, or to the next layer. */
function move(viewer, [across, down], extend) {
  const { layers, state, words } = viewer;
  if (across) {
    words.go(state.selected.length || extend ? across : 0, extend);
  } else if (layers.length) {
    const at = clamp(layers.indexOf(state.layer) - down, -1, layers.length - 1);
    viewer.set({ layer: layers[at] ?? -1 });
  }
}

/** To the next cell of a pane. */
function walk(viewer, pane, [across, down]) {
  const { pointer } = viewer;
  const [map] = pane.layers;
  if (!map) return;
  const start = middleOf(map, (map.rows - 1) / 2, (map.cols - 1) / 2);
  const [row, col] = rowAndColumn(map, pointer.spot ?? pointer.kept ?? start);
  const to = middleOf(map, clamp(row + down, 0, map.rows - 1), clamp(col + across, 0, map.cols - 1));
  pointer.spot = { image: pane.image, ...to };
  viewer.refresh();
}
