/** What a reader can set, as each of groundviz/render/live/traits.py starts. */

export const STATE = {
  selected: [], part: 0, method: "", compare: [], difference: false, pins: [], rois: [], image: -1, tile: 0,
  layer: -1, head: -1, norm: "clip", sinks: false, smooth: false, fill: true, contour: true, opacity: 0.5,
  threshold: 0, cmap: "", window: 1, level: 0.5, invert: false, view: [0.5, 0.5, 1], tool: "pan",
  hovered_patch: [], known: -1,
};

/** What explanations that stand side by side do not share. */
export const OWN = ["selected", "part", "pins", "rois", "hovered_patch"];

export const NORMS = {
  clip: "to 99th percentile",
  each: "lowest to highest",
  shared: "one for all tokens",
  mass: "share of map’s total",
};

export const TOOLS = { pan: "Move", window: "Window", box: "Box" };

export const MOST_PANES = 4;

/** The image as it was read, all of it. */
export const START_VIEW = { view: STATE.view, window: 1, level: 0.5, invert: false };
