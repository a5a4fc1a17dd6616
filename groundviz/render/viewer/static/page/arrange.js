/** How much of the window a viewer takes, and how its panes stand in it. */

import { arrangement, BETWEEN } from "../data/arrangement.js";
import { setValue } from "./element.js";

/** Pixels that a page or a notebook shows above and below a viewer. */
const AROUND = 160;
const SHORTEST = 430;
/** Below this width the answer stands over the image, not beside it; as in viewer.css. */
const NARROW = 700;
/** Of the window, on a screen where the answer stands over the image. */
const SHARE = 0.62;
const LEAST_FRAME = 160;
const AMPLE_FRAME = 340;
/** Of what stands over and under a frame, before it is measured. */
const CAPTION = 130;
/** Of the line under viewers that stand side by side, and what unfolds there. */
const LINES = 80;
const NARROWEST_PANE = 210;
const NARROWEST_SIDE = 280;

export const isNarrow = ({ whole }) => whole.clientWidth < NARROW;

/** Whether a viewer has the window to itself, so that the wheel need not scroll a page. */
export const isFull = ({ whole }) => document.fullscreenElement === whole || whole.classList.contains("gv-full");

/** Whether the page stands in a frame of another, as a notebook's output may. */
export const isFramed = () => window.top !== window;

/** Height of the window. A frame may be as high as all it holds, or as its notebook: no higher than the screen. */
export const windowHeight = () => Math.min(window.innerHeight, isFramed() ? screen.availHeight : Infinity);

/** Height of a viewer. */
function tallness(viewer) {
  if (isFull(viewer)) return window.innerHeight - 24;
  return Math.max(windowHeight() - AROUND, SHORTEST);
}

const aspectOf = ({ aspect, source: [rows, cols] }) => (rows * aspect[0]) / (cols * aspect[1]);

/** Columns, and the height of every frame; anew where the room, or what stands in it, has changed. */
export function arrange(viewer) {
  const { panes, record, stage, whole } = viewer;
  const tall = tallness(viewer);
  const aspect = Math.max(...panes.map(({ image }) => aspectOf(record.images[image])));
  const above = aboveOf(viewer);
  const rows = viewer.beside ? standBeside(viewer, { tall, aspect, above }) : 1;
  const room = isNarrow(viewer) ? windowHeight() * SHARE : (tall - BETWEEN * (rows - 1)) / rows - above;
  const key = [stage.clientWidth, room, panes.length, aspect].join(" ");
  if (viewer.arranged === key) return keepCaptions(viewer, viewer.captioned);
  viewer.arranged = key;
  setValue(whole, "tall", `${tall}px`);
  // Narrow captions are taller: columns first, then the height of what stands around a frame in them.
  const first = place(viewer, { room, aspect, around: CAPTION });
  const captions = panes.map(({ node }) => node.offsetHeight - first.height);
  place(viewer, { room, aspect, around: Math.max(...captions) });
  keepCaptions(viewer, 0);
}

/** Captions grow with what they say and do not shrink again, so that images stay while words are pointed at. */
function keepCaptions(viewer, least) {
  const tall = viewer.panes.map(({ detail, title }) => detail.offsetTop + detail.offsetHeight - title.offsetTop);
  viewer.captioned = Math.max(least, ...tall);
  const most = Math.max(...[viewer, ...viewer.peers].map(({ captioned = 0 }) => captioned));
  setValue(viewer.whole, "caption", `${most}px`);
}

function place(viewer, { room, aspect, around }) {
  const { panes, stage } = viewer;
  const shape = { aspect, around, least: LEAST_FRAME, ample: AMPLE_FRAME, narrowest: NARROWEST_PANE };
  const found = arrangement(panes.length, { width: stage.clientWidth, height: room }, shape);
  // An image that is alone has the room to itself: a wide one takes it when it is magnified.
  if (panes.length === 1 && !isNarrow(viewer)) found.height = Math.max(found.height, Math.floor(room - around));
  setValue(stage, "columns", found.columns);
  setValue(stage, "frame", `${found.height}px`);
  return found;
}

/** Height of what stands with the panes in one column; of viewers side by side, the highest. */
function aboveOf({ beside, head, panes: [{ scale }], peers, stage, toolbar }) {
  const shared = scale.parentNode === stage ? scale.offsetHeight + BETWEEN : 0;
  if (!beside) return toolbar.offsetHeight + 8 + shared;
  const heads = [head, ...peers.map((peer) => peer.head)].map((one) => one.offsetHeight);
  return Math.max(...heads) + LINES + shared;
}

/** Columns of viewers that stand side by side; how many rows they make. */
function standBeside({ beside, peers }, { tall, aspect, above }) {
  const around = above + CAPTION;
  const shape = { aspect, around, least: LEAST_FRAME, ample: AMPLE_FRAME, narrowest: NARROWEST_SIDE };
  const { columns, rows } = arrangement(peers.length + 1, { width: beside.clientWidth, height: tall }, shape);
  setValue(beside, "columns", columns);
  return rows;
}

/**
 * Give a viewer the whole screen, or take it back. A host may refuse: then it takes the whole page. A frame may be
 * higher than what is seen of it, or shrink with what it holds: there all but the images is hidden or shown.
 */
export async function toggleFull(viewer) {
  const { whole } = viewer;
  if (isFull(viewer)) {
    whole.classList.remove("gv-full");
    if (document.fullscreenElement) await document.exitFullscreen();
  } else {
    try {
      await whole.requestFullscreen();
    } catch {
      if (isFramed()) togglePanel(viewer);
      else whole.classList.add("gv-full");
    }
  }
  viewer.refresh();
}

/** Show or hide all but the images. */
export function togglePanel(viewer) {
  const { panes: [{ canvas }], whole } = viewer;
  whole.toggleAttribute("data-alone");
  // What had the focus may be hidden now, and keys are still for the viewer.
  const { activeElement: focused } = document;
  if (whole.contains(focused) && !focused.offsetParent) canvas.focus({ preventScroll: true });
  viewer.refresh();
}
