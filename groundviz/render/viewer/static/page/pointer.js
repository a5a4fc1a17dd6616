/** What a pointer does in an image. */

import { centreWithin, clamp } from "../data/numbers.js";
import { isFull } from "./arrange.js";
import { lookup } from "./lookup.js";
import { turnedByWheel } from "./stacks.js";
import { LEVELS, WIDTHS } from "./state.js";

/** A pointer that moved no further than these pixels has clicked. */
const CLICK = 3;
/** Milliseconds after which a pointer rests. */
const REST = 150;

/**
 * @typedef {object} Spot
 * @property {number} image
 * @property {number} x in source pixels
 * @property {number} y in source pixels
 */

export class Pointer {
  constructor(viewer) {
    this.viewer = viewer;
    // The place under the pointer, the place that was clicked, the box that is being drawn, and the tool that
    // is being dragged.
    this.spot = this.kept = this.drawing = this.grab = null;
    // Where each finger is, and what ends the drag of the first.
    this.fingers = new Map();
    this.letGo = null;
  }

  /** The box that is drawn, or was drawn last. */
  get box() {
    return this.drawing ?? this.viewer.state.rois.at(-1);
  }

  /** Listen to what happens on a pane's canvas. */
  listen(pane) {
    const left = () => this.left();
    const listeners = {
      pointermove: (event) => this.moved(pane, event),
      pointerdown: (event) => this.pressed(pane, event),
      pointerup: (event) => this.lifted(event),
      pointercancel: (event) => this.lifted(event),
      pointerleave: left,
      // Two fingers are ours; with one the page scrolls.
      touchmove: (event) => { if (event.touches.length > 1) event.preventDefault(); },
      blur: left,
      dblclick: () => this.viewer.reset(),
      contextmenu: (event) => event.preventDefault(),
      wheel: (event) => this.wheeled(pane, event),
    };
    for (const [kind, listener] of Object.entries(listeners)) {
      // What zooms here must not scroll the page as well.
      pane.canvas.addEventListener(kind, listener, { passive: false });
    }
  }

  /**
   * Where an event is in source pixels.
   *
   * @returns {Spot}
   */
  place(pane, event) {
    const box = pane.canvas.getBoundingClientRect();
    const { sx, sy, tx, ty } = pane.fit;
    const ratio = pane.canvas.width / box.width;
    const x = ((event.clientX - box.left) * ratio - tx) / sx;
    const y = ((event.clientY - box.top) * ratio - ty) / sy;
    return { image: pane.image, x, y };
  }

  moved(pane, event) {
    if (this.fingers.has(event.pointerId)) this.pinched(pane, event);
    if (this.grab) return;
    this.spot = this.place(pane, event);
    this.viewer.refresh();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rested(), REST);
  }

  /** Tell Python which cell the pointer rests on. */
  rested() {
    const found = this.spot && lookup(this.viewer);
    if (!found?.spot) return;
    const [[at]] = found.weights;
    const { cols } = found.map;
    this.viewer.set({ hovered_patch: [found.spot.image, Math.floor(at / cols), at % cols] });
  }

  left() {
    if (this.grab) return;
    this.spot = null;
    this.viewer.refresh();
  }

  /** Keep a place; a second click on it lets it go. */
  keep(spot) {
    const again = spot && this.kept && this.kept.x === spot.x && this.kept.y === spot.y;
    this.kept = again ? null : spot;
    this.viewer.set({ rois: [] });
  }

  pressed(pane, event) {
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, event);
    if (this.fingers.size < 2) return this.grabbed(pane, event);
    // A second finger begins a pinch, and what the first had begun comes to nothing.
    this.letGo?.();
    this.drawing = null;
    this.grab = "pinch";
  }

  lifted(event) {
    this.fingers.delete(event.pointerId);
    if (this.grab === "pinch" && this.fingers.size < 2) this.grab = null;
  }

  /** Zoom by how far two fingers moved apart, and move with them. */
  pinched(pane, event) {
    const before = [...this.fingers.values()];
    this.fingers.set(event.pointerId, event);
    if (this.grab !== "pinch") return;
    const now = [...this.fingers.values()];
    const apart = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
    const from = this.share(pane, middle(before));
    const to = this.share(pane, middle(now));
    const { centre } = pane.fit;
    const view = centre.map((at, axis) => clamp(at + from[axis] - to[axis], 0, 1));
    const { viewer } = this;
    viewer.state.view = [...view, viewer.state.view[2]];
    pane.fit.centre = view;
    viewer.zoom(apart(now) / apart(before), from, pane);
  }

  /** A place as shares of the image. */
  share(pane, event) {
    const { x, y } = this.place(pane, event);
    const [rows, cols] = this.viewer.record.images[pane.image].source;
    return [clamp(x / cols, 0, 1), clamp(y / rows, 0, 1)];
  }

  grabbed(pane, event) {
    if (event.button > 2) return;
    const { canvas } = pane;
    const drag = this.dragging(pane, event);
    const from = this.place(pane, event);
    let far = false;
    canvas.setPointerCapture(event.pointerId);
    const move = (now) => {
      far ||= Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > CLICK;
      if (far) drag(now);
    };
    const done = new AbortController();
    const { signal } = done;
    this.letGo = () => {
      this.grab = null;
      done.abort();
    };
    const drop = () => {
      this.letGo();
      if (!far && event.button === 0) this.keep(from);
      else if (this.drawing) this.boxed();
    };
    canvas.addEventListener("pointermove", move, { signal });
    canvas.addEventListener("pointerup", drop, { signal });
    // The page has begun to scroll: nothing was chosen.
    canvas.addEventListener("pointercancel", this.letGo, { signal });
  }

  /** What a drag that begins with an event does, by its tool. */
  dragging(pane, event) {
    const { viewer } = this;
    const { level, tool, view: [, , zoom], window: width } = viewer.state;
    const { centre: [x, y], ratio, share, sx, sy } = pane.fit;
    const [rows, cols] = viewer.record.images[pane.image].source;
    const from = this.place(pane, event);
    const steps = (now) => [now.clientX - event.clientX, now.clientY - event.clientY];
    const tools = {
      box: (now) => this.stretch(from, this.place(pane, now)),
      window: (now) => {
        const [dx, dy] = steps(now);
        // A narrow window moves in small steps.
        const wider = width * Math.exp(dx / 250);
        viewer.set({ window: clamp(wider, ...WIDTHS), level: clamp(level + (dy / 300) * width, ...LEVELS) });
      },
      pan: (now) => {
        const [dx, dy] = steps(now);
        const centre = [x - (dx * ratio) / (sx * cols), y - (dy * ratio) / (sy * rows)];
        viewer.set({ view: [...centre.map((at, axis) => centreWithin(at, share[axis])), zoom] });
      },
    };
    this.grab = tool;
    if (event.shiftKey) this.grab = "box";
    if (event.button === 2) this.grab = "window";
    return tools[this.grab] ?? tools.pan;
  }

  /** Draw a box between two places. */
  stretch(from, to) {
    const [rows, cols] = this.viewer.record.images[from.image].source;
    this.drawing = {
      image: from.image,
      x0: clamp(Math.min(from.x, to.x), 0, cols), x1: clamp(Math.max(from.x, to.x), 0, cols),
      y0: clamp(Math.min(from.y, to.y), 0, rows), y1: clamp(Math.max(from.y, to.y), 0, rows),
    };
    this.spot = null;
    this.viewer.refresh();
  }

  /** Keep the box that was drawn. */
  boxed() {
    const box = this.drawing;
    this.clear();
    this.viewer.set({ rois: [box] });
  }

  clear() {
    this.drawing = this.spot = this.kept = null;
  }

  /** Zoom about the pointer. Without Ctrl the wheel turns slices, or scrolls the page where there is one. */
  wheeled(pane, event) {
    const { viewer } = this;
    const plain = !event.ctrlKey && !event.metaKey;
    if (plain && turnedByWheel(viewer, pane, event)) return;
    if (plain && !isFull(viewer)) return;
    event.preventDefault();
    // A wheel that counts in lines makes steps of the same size.
    const pixels = event.deltaY * (event.deltaMode ? 33 : 1);
    viewer.zoom(Math.exp(-clamp(pixels, -240, 240) / 400), this.share(pane, event), pane);
  }
}
