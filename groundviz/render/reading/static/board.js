/** The images of a trial: the same view on each, a map above that can be faded, and a box to be drawn. */

import { element } from "../../viewer/static/page/element.js";

const MOST_ZOOM = 8;
const STEP = 1.25;
const LEAST_BOX = 2;
const LETTERS = ["A", "B"];

export class Board {
  /**
   * @param {HTMLElement} place
   * @param {() => void} acted called whenever the reader does something here
   */
  constructor(place, acted) {
    this.place = place;
    this.acted = acted;
    this.sizes = new ResizeObserver(() => this.draw());
  }

  stop() {
    this.sizes.disconnect();
  }

  show(bitmaps, { shape, maps, stage }) {
    this.stop();
    [this.image, ...this.maps] = bitmaps;
    this.shape = shape;
    this.stage = stage;
    this.box = null;
    this.drawing = stage === "mark";
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.zoomed = false;
    this.opacity = 1;
    this.hidden = false;
    this.panes = this.image ? Array.from({ length: Math.max(1, maps) }, (_, at) => this.pane(at)) : [];
    const nodes = this.panes.map(({ node }) => node);
    this.place.replaceChildren(...nodes, ...(this.image ? [this.controls()] : []));
    this.place.dataset.panes = nodes.length;
    for (const { canvas } of this.panes) this.sizes.observe(canvas);
    this.draw();
  }

  pane(at) {
    const name = this.maps.length > 1 ? `Map ${LETTERS[at]}` : "Image";
    const canvas = element("canvas", { class: "gr-canvas", role: "img", "aria-label": name });
    const node = element("figure", { class: "gr-pane" }, canvas,
      this.maps.length > 1 ? element("figcaption", {}, LETTERS[at]) : null);
    const ratio = this.image.width / this.image.height;
    canvas.style.aspectRatio = String(ratio);
    node.style.maxWidth = `calc(64vh * ${ratio.toFixed(4)})`;
    canvas.addEventListener("wheel", (event) => this.wheel(event, canvas), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event, canvas));
    return { node, canvas, map: this.maps[at] };
  }

  controls() {
    const slider = element("input", {
      type: "range", min: 0, max: 1, step: 0.05, value: 1, "aria-label": "Opacity of the map",
      oninput: ({ target }) => {
        this.acted();
        this.opacity = Number(target.value);
        this.hidden = false;
        this.draw();
      },
    });
    const whole = element("button", { type: "button", onclick: () => this.reset() }, "Whole image");
    const fade = element("label", {}, "Opacity of the map ", slider);
    return element("div", { class: "gr-tools" }, this.maps.length ? fade : null, whole);
  }

  /** Hide the maps, or show them again. */
  toggle() {
    this.hidden = !this.hidden;
    this.draw();
  }

  reset() {
    this.acted();
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.draw();
  }

  wheel(event, canvas) {
    event.preventDefault();
    this.acted();
    const { x, y, zoom } = this.view;
    const now = Math.min(MOST_ZOOM, Math.max(1, zoom * (event.deltaY < 0 ? STEP : 1 / STEP)));
    const [across, down] = this.at(event, canvas);
    // What is under the pointer stays there.
    this.look(across + ((x - across) * zoom) / now, down + ((y - down) * zoom) / now, now);
    this.zoomed ||= now > 1;
  }

  look(x, y, zoom) {
    const half = 0.5 / zoom;
    const inside = (centre) => Math.min(1 - half, Math.max(half, centre));
    this.view = { x: inside(x), y: inside(y), zoom };
    this.draw();
  }

  /** Where on the image an event is, as shares of its width and height. */
  at(event, canvas) {
    const place = canvas.getBoundingClientRect();
    const { x, y, zoom } = this.view;
    const share = (value, start, size) => (value - start) / size - 0.5;
    return [
      x + share(event.clientX, place.left, place.width) / zoom,
      y + share(event.clientY, place.top, place.height) / zoom,
    ];
  }

  press(event, canvas) {
    if (event.button) return;
    event.preventDefault();
    this.acted();
    canvas.setPointerCapture(event.pointerId);
    const start = this.at(event, canvas);
    const view = { ...this.view };
    const move = (moved) => {
      const now = this.at(moved, canvas);
      if (this.drawing) this.drawn(start, now);
      else this.look(this.view.x + start[0] - now[0], this.view.y + start[1] - now[1], view.zoom);
    };
    const end = () => {
      canvas.removeEventListener("pointermove", move);
      this.changed?.();
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", end, { once: true });
    canvas.addEventListener("pointercancel", end, { once: true });
  }

  drawn(start, now) {
    const [rows, cols] = this.shape;
    const clip = (value) => Math.min(1, Math.max(0, value));
    const across = [start[0], now[0]].map(clip).sort((one, other) => one - other);
    const down = [start[1], now[1]].map(clip).sort((one, other) => one - other);
    const box = [across[0] * cols, down[0] * rows, across[1] * cols, down[1] * rows];
    this.box = box[2] - box[0] > LEAST_BOX && box[3] - box[1] > LEAST_BOX ? box : null;
    this.draw();
  }

  draw() {
    for (const pane of this.panes ?? []) this.paint(pane);
  }

  paint({ canvas, map }) {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (!width || !height) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    const { x, y, zoom } = this.view;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(zoom, 0, 0, zoom, width * (0.5 - x * zoom), height * (0.5 - y * zoom));
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    context.drawImage(this.image, 0, 0, width, height);
    if (map && !this.hidden) {
      // Cells have hard borders.
      context.imageSmoothingEnabled = false;
      context.globalAlpha = this.opacity;
      context.drawImage(map, 0, 0, width, height);
    }
    if (this.box) this.outline(context, width, height, scale / zoom);
  }

  outline(context, width, height, line) {
    const [rows, cols] = this.shape;
    const [left, top, right, bottom] = this.box;
    context.globalAlpha = 1;
    // Dark below light is seen on any tissue.
    for (const [colour, wide] of [["#000000", 4], ["#7dffb0", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide * line;
      context.strokeRect((left / cols) * width, (top / rows) * height,
        ((right - left) / cols) * width, ((bottom - top) / rows) * height);
    }
  }
}
