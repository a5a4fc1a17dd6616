/** What a pointer does in an image. */

import { centreWithin, clamp } from "../data/numbers.js";
import { lookup } from "./lookup.js";

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
      pointerdown: (event) => this.grabbed(pane, event),
      pointerleave: left,
      blur: left,
      dblclick: () => this.viewer.reset(),
      contextmenu: (event) => event.preventDefault(),
      wheel: (event) => this.wheeled(pane, event),
    };
    for (const [kind, listener] of Object.entries(listeners)) {
      // The wheel zooms here, and must not scroll the page as well.
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
    const drop = () => {
      this.grab = null;
      done.abort();
      if (!far && event.button === 0) this.keep(from);
      else if (this.drawing) this.boxed();
    };
    canvas.addEventListener("pointermove", move, { signal });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, drop, { signal });
  }

  /** What a drag that begins with an event does, by its tool. */
  dragging(pane, event) {
    const { viewer } = this;
    const { level, tool, view: [x, y, zoom], window: width } = viewer.state;
    const from = this.place(pane, event);
    const size = pane.canvas.getBoundingClientRect();
    const steps = (now) => [now.clientX - event.clientX, now.clientY - event.clientY];
    const tools = {
      box: (now) => this.stretch(from, this.place(pane, now)),
      window: (now) => {
        const [dx, dy] = steps(now);
        viewer.set({ window: clamp(width + dx / 300, 0.01, 1), level: clamp(level + dy / 300, 0, 1) });
      },
      pan: (now) => {
        const [dx, dy] = steps(now);
        const centre = [x - dx / size.width / zoom, y - dy / size.height / zoom];
        viewer.set({ view: [...centre.map((at) => centreWithin(at, zoom)), zoom] });
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

  /** Zoom about the pointer. */
  wheeled(pane, event) {
    event.preventDefault();
    const { x, y } = this.place(pane, event);
    const [rows, cols] = this.viewer.record.images[pane.image].source;
    this.viewer.zoom(Math.exp(-event.deltaY / 400), [clamp(x / cols, 0, 1), clamp(y / rows, 0, 1)]);
  }
}
