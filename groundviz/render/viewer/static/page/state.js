/** What a reader can set, as each of groundviz/render/live/traits.py starts. */

export const STATE = {
  selected: [], part: 0, method: "", compare: [], difference: false, pins: [], rois: [], image: -1, slices: [], tile: 0,
  layer: -1, head: -1, norm: "root", sinks: false, smooth: false, fill: true, contour: true, opacity: 0.85,
  threshold: 0, cmap: "", window: 1, level: 0.5, invert: false, view: [0.5, 0.5, 1], tool: "pan",
  hovered_patch: [], known: -1,
};

/** What explanations that stand side by side do not share. */
export const OWN = ["selected", "part", "pins", "rois", "hovered_patch"];

export const NORMS = {
  root: "square root",
  linear: "linear",
  log: "logarithm, 3 decades",
  each: "each its own",
  mass: "share of map’s total",
};

/** Whether a choice of scale is one for all words: their maps, and the maps of several of them, per word. */
export const isShared = (norm) => norm !== "each" && norm !== "mass";

/** What the values of a pane count. */
export function unitOf(norm, { chosen, known }) {
  if (norm === "mass") return "share of the map’s total";
  const perToken = isShared(norm) && known.reduce[0] === "sum" && chosen.tokens.length > 1;
  return perToken ? `${known.unit} per token` : known.unit;
}

export const TOOLS = { pan: "Move", window: "Window", box: "Box" };

export const MOST_PANES = 8;
export const MOST_ZOOM = 24;

/** Of a window, in widths of what was read. */
export const WIDTHS = [1e-4, 1e4];
export const LEVELS = [-1e4, 1e4];

/** The image as it was read, all of it. */
export const START_VIEW = { view: STATE.view, window: 1, level: 0.5, invert: false };
