/** Two numbers of every case against each other; a box drawn here filters the sheet. */

import { element } from "../../viewer/static/page/element.js";

const EDGE = { left: 46, right: 10, top: 10, bottom: 34 };
const NEAR = 9;
const POINT = 3.2;

export class Scatter {
  constructor(gallery) {
    this.gallery = gallery;
    const [x, y] = [gallery.numbers[0] ?? -1, gallery.numbers[1] ?? gallery.numbers[0] ?? -1];
    this.axes = { x, y };
    this.canvas = element("canvas", { class: "gg-canvas", role: "img", "aria-label": "Scatter of the cases" });
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    const hint = element("p", { class: "gg-hint" }, "Drag a box to filter; click a point to open it.");
    this.node = element("div", { class: "gg-scatter" }, this.choice("x", "Across "), this.choice("y", "Up "),
      this.canvas, hint);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  choice(axis, words) {
    const { columns, numbers } = this.gallery;
    const options = numbers.map((at) =>
      element("option", { value: at, selected: at === this.axes[axis] }, columns[at].title));
    const change = ({ target }) => {
      this.axes[axis] = Number(target.value);
      this.gallery.set({ box: null });
    };
    return element("label", {}, words, element("select", { onchange: change }, ...options));
  }

  /** Whether a case lies in the box, where there is one. */
  holds(facts) {
    const { box } = this.gallery.state;
    if (!box) return true;
    const [x, y] = [facts[this.axes.x], facts[this.axes.y]];
    return x !== null && y !== null && x >= box.x0 && x <= box.x1 && y >= box.y0 && y <= box.y1;
  }

  span(axis) {
    const values = this.gallery.cases.map(({ facts }) => facts[this.axes[axis]]).filter((value) => value !== null);
    const low = values.reduce((one, other) => Math.min(one, other), Infinity);
    const high = values.reduce((one, other) => Math.max(one, other), -Infinity);
    const room = (high - low || 1) * 0.04;
    return values.length ? [low - room, high + room] : [0, 1];
  }

  place(facts) {
    const [x, y] = [facts[this.axes.x], facts[this.axes.y]];
    if (x === null || y === null || x === undefined || y === undefined) return null;
    const { spans, size } = this;
    const share = (value, [low, high]) => (value - low) / (high - low);
    return [
      EDGE.left + share(x, spans.x) * (size[0] - EDGE.left - EDGE.right),
      size[1] - EDGE.bottom - share(y, spans.y) * (size[1] - EDGE.top - EDGE.bottom),
    ];
  }

  values([across, down]) {
    const { spans, size } = this;
    const value = (share, [low, high]) => low + share * (high - low);
    return [
      value((across - EDGE.left) / (size[0] - EDGE.left - EDGE.right), spans.x),
      value((size[1] - EDGE.bottom - down) / (size[1] - EDGE.top - EDGE.bottom), spans.y),
    ];
  }

  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  nearest(spot) {
    let found = -1;
    let least = NEAR;
    for (const at of this.gallery.shown) {
      const place = this.place(this.gallery.cases[at].facts);
      const distance = place ? Math.hypot(place[0] - spot[0], place[1] - spot[1]) : Infinity;
      if (distance < least) [found, least] = [at, distance];
    }
    return found;
  }

  hover(event) {
    if (this.start) return;
    const at = this.nearest(this.at(event));
    this.canvas.title = at < 0 ? "" : [this.gallery.cases[at].name, ...this.gallery.written(at)].join("\n");
    if (at !== this.gallery.marked) this.gallery.mark(at);
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.start = this.at(event);
    const move = (moved) => {
      this.end = this.at(moved);
      this.draw();
    };
    const up = () => {
      this.canvas.removeEventListener("pointermove", move);
      this.released();
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", up, { once: true });
  }

  released() {
    const { start, end } = this;
    this.start = this.end = null;
    if (end && Math.hypot(end[0] - start[0], end[1] - start[1]) > NEAR) {
      const [one, other] = [this.values(start), this.values(end)];
      const sorted = (axis) => [Math.min(one[axis], other[axis]), Math.max(one[axis], other[axis])];
      const [[x0, x1], [y0, y1]] = [sorted(0), sorted(1)];
      this.gallery.set({ box: { x0, x1, y0, y1 } });
      return;
    }
    const at = this.nearest(start);
    if (at >= 0) this.gallery.open(at);
    else this.gallery.set({ box: null });
  }

  draw() {
    const { canvas, gallery } = this;
    const scale = window.devicePixelRatio || 1;
    this.size = [canvas.clientWidth, canvas.clientHeight];
    if (!this.size[0] || !this.size[1] || !gallery.shown) return;
    canvas.width = this.size[0] * scale;
    canvas.height = this.size[1] * scale;
    this.spans = { x: this.span("x"), y: this.span("y") };
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const ink = getComputedStyle(canvas);
    this.axesOn(context, ink.color);
    const shown = new Set(gallery.shown);
    for (const [at, { facts }] of gallery.cases.entries()) {
      if (!shown.has(at)) this.point(context, facts, ink.color, 0.15);
    }
    for (const at of shown) this.point(context, gallery.cases[at].facts, "#d55e00", 0.6);
    if (gallery.marked >= 0) this.ring(context, gallery.cases[gallery.marked].facts, ink.color);
    this.boxOn(context, ink.color);
  }

  axesOn(context, colour) {
    const [width, height] = this.size;
    const { columns } = this.gallery;
    context.strokeStyle = context.fillStyle = colour;
    context.globalAlpha = 0.8;
    context.font = "12px system-ui, sans-serif";
    context.strokeRect(EDGE.left, EDGE.top, width - EDGE.left - EDGE.right, height - EDGE.top - EDGE.bottom);
    const write = (axis, value) => value.toFixed(columns[this.axes[axis]]?.digits ?? 2);
    context.textAlign = "right";
    context.fillText(write("y", this.spans.y[1]), EDGE.left - 4, EDGE.top + 10);
    context.fillText(write("y", this.spans.y[0]), EDGE.left - 4, height - EDGE.bottom);
    context.fillText(write("x", this.spans.x[1]), width - EDGE.right, height - EDGE.bottom + 15);
    context.textAlign = "left";
    context.fillText(write("x", this.spans.x[0]), EDGE.left, height - EDGE.bottom + 15);
  }

  point(context, facts, colour, opacity) {
    const place = this.place(facts);
    if (!place) return;
    context.globalAlpha = opacity;
    context.fillStyle = colour;
    context.beginPath();
    context.arc(...place, POINT, 0, 2 * Math.PI);
    context.fill();
  }

  ring(context, facts, colour) {
    const place = this.place(facts);
    if (!place) return;
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...place, 2 * POINT, 0, 2 * Math.PI);
    context.stroke();
    context.lineWidth = 1;
  }

  boxOn(context, colour) {
    const { box } = this.gallery.state;
    let corners = this.start && this.end ? [this.start, this.end] : null;
    if (!corners && box) corners = [this.spot(box.x0, box.y0), this.spot(box.x1, box.y1)];
    if (!corners) return;
    const [[x0, y0], [x1, y1]] = corners;
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.setLineDash([4, 3]);
    context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    context.setLineDash([]);
  }

  spot(x, y) {
    const facts = [];
    facts[this.axes.x] = x;
    // One number on both axes is a line.
    if (this.axes.y !== this.axes.x) facts[this.axes.y] = y;
    return this.place(facts) ?? [0, 0];
  }
}
