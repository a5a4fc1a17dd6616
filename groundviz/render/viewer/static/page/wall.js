/** Every layer and head of a map as small images on one scale; a click shows one of them large. */

import { LEFT_OUT, mapOf } from "../data/maps.js";
import { clamp, printed, range } from "../data/numbers.js";
import { curveOf, extentOf, joined, ruleOf, scaleOver, summitOf } from "../data/scale.js";
import { isFramed, windowHeight } from "./arrange.js";
import { drawBar, makeBar } from "./bar.js";
import { ratioOfScreen } from "./canvas.js";
import { button, element, setText, setValue } from "./element.js";
import { ARROWS } from "./keyboard.js";
import { drawSmall, fitSmall, groundOf } from "./small.js";
import { isShared, unitOf } from "./state.js";

/** Pixels of a small image along its longer side, at least and at most, and what stands around them. */
const LEAST_SIDE = 34;
const MOST_SIDE = 150;
const BESIDE_WALL = 120;
const ABOVE_WALL = 260;
const BETWEEN_TILES = 10;
/** Where only layers or only heads are told apart. */
const MOST_ACROSS = 8;
const MOST_WIDE = 1500;
const AMPLE_SIDE = 64;

const named = (kind, one) => (one < 0 ? `all ${kind}s` : `${kind} ${one}`);

export class Wall {
  constructor(viewer) {
    this.viewer = viewer;
    this.node = element("dialog", {
      class: "gv-wall", onkeydown: (event) => this.keyed(event), onclose: () => this.clear(),
    });
  }

  /** What stands in the dialog while it is open. */
  fill() {
    this.title = element("h2");
    this.grid = element("div", { class: "gv-wall-grid", role: "group" });
    this.note = element("p", { class: "gv-legend" });
    this.bar = makeBar();
    const parts = ["unit", "rule", "summit"].map((kind) => element("span", { class: `gv-${kind}` }));
    [this.unit, this.rule, this.summit] = parts;
    const close = button("Close", () => this.node.close());
    this.node.append(element("div", { class: "gv-toolbar" }, this.title, close),
      element("div", { class: "gv-wall-room" }, this.grid),
      element("div", { class: "gv-scale" }, this.bar.ends, ...parts), this.note);
  }

  /** Layers and heads that can be told apart, -1 for all of them. */
  get axes() {
    const { heads, layers, maps, model } = this.viewer;
    const known = maps[0]?.shape[2] > 1 || model.send;
    return [[-1, ...layers], [-1, ...range(0, heads > 1 && known ? heads : 0)]];
  }

  get offered() {
    return this.axes.some((axis) => axis.length > 1);
  }

  open() {
    if (!this.offered || this.node.open) return;
    const { image, method } = this.viewer.panes[0];
    const { chosen } = this.viewer.words;
    this.shown = { chosen, image, layers: this.viewer.drawn(method, image) };
    this.fill();
    this.node.showModal();
    // The middle of a frame that is as high as its notebook is not seen.
    if (isFramed()) setValue(this.node, "top", `${this.viewer.root.getBoundingClientRect().top}px`);
    this.build();
    this.follow();
  }

  clear() {
    this.tiles = null;
    this.node.replaceChildren();
  }

  /** A button for each layer and head, under and beside their names. */
  build() {
    const { viewer } = this;
    const [layers, heads] = this.axes;
    const both = layers.length > 1 && heads.length > 1;
    const columns = both ? heads.length : Math.min(MOST_ACROSS, this.axes.flat().length);
    const fit = (room, count) => Math.floor(room / count) - BETWEEN_TILES;
    const wide = fit(Math.min(window.innerWidth, MOST_WIDE) - BESIDE_WALL, columns);
    // A scrolled wall is worse than small images, up to a point.
    const tall = Math.max(fit(windowHeight() - ABOVE_WALL, both ? layers.length + 1 : 1), AMPLE_SIDE);
    this.side = clamp(Math.min(wide, tall), LEAST_SIDE, MOST_SIDE);
    this.pixels = this.side * ratioOfScreen();
    this.across = both ? heads.length : 1;
    this.tiles = layers.flatMap((layer) => heads.map((head) => this.tile(layer, head)));
    const head = (text, kind = "") => element("span", { class: `gv-wall-name ${kind}` }, text);
    const rows = layers.map((layer, at) => {
      const row = this.tiles.slice(at * heads.length, (at + 1) * heads.length);
      return [head(named("layer", layer), "gv-wall-side"), ...row.map(({ node }) => node)];
    });
    const top = ["", ...heads.map((one) => named("head", one))].map((text) => head(text, "gv-wall-top"));
    const single = ({ name, node }) => element("span", { class: "gv-wall-one" }, node, head(name));
    setValue(this.grid, "columns", both ? heads.length + 1 : "auto-fill");
    setValue(this.grid, "side", `${this.side}px`);
    this.grid.toggleAttribute("data-both", both);
    this.grid.replaceChildren(...(both ? [top, ...rows].flat() : this.tiles.map(single)));
    const { head: h, layer: l } = viewer.state;
    this.focus(this.tiles.findIndex(({ head: one, layer }) => layer === l && one === h));
  }

  tile(layer, head) {
    const { state } = this.viewer;
    const canvas = element("canvas", { "aria-hidden": "true" });
    fitSmall(this.viewer, canvas, this.shown.image, this.pixels);
    const current = layer === state.layer && head === state.head;
    const node = button("", () => this.choose(layer, head), { tabindex: -1, "aria-pressed": current });
    node.append(canvas);
    const names = [this.viewer.layers.length && named("layer", layer), this.axes[1].length > 1 && named("head", head)];
    return { layer, head, canvas, node, name: names.filter(Boolean).join(", ") };
  }

  choose(layer, head) {
    this.node.close();
    this.viewer.set({ layer, head });
  }

  /** Draw what is there, on one scale; anew where heads came since. */
  follow() {
    if (!this.tiles) return;
    const { viewer, shown: { chosen, image, layers } } = this;
    const came = this.tiles.filter((tile) => !tile.values).map((tile) => this.read(tile));
    if (!came.includes(true)) return;
    const norm = isShared(viewer.state.norm) ? viewer.state.norm : "root";
    const [known] = layers;
    const extents = this.tiles.flatMap(({ extents: own }) => own ?? []);
    const scaled = scaleOver(joined(extents), curveOf(norm), known.signed, "all");
    const ground = groundOf(viewer, image, this.pixels);
    for (const { canvas, node, values } of this.tiles) {
      node.disabled = !values;
      if (values) drawSmall(viewer, canvas, ground, { image, layers, values, scaled });
    }
    setText(this.title, `${known.name}, layer by layer and head by head: ${chosen.label}`);
    setText(this.note, this.missing());
    this.node.setAttribute("aria-label", this.title.textContent);
    this.bar.ends.hidden = !scaled;
    if (!scaled) return setText(this.unit, "No evidence: each of these maps holds the same value everywhere.");
    drawBar(viewer, { ...this.bar, difference: false, scaled });
    setText(this.unit, unitOf(norm, { chosen, known }));
    setText(this.rule, ruleOf(scaled));
    setText(this.summit, summitOf(scaled));
  }

  /** Take a tile's values, if they are here. */
  read(tile) {
    const { viewer, shown: { chosen, layers } } = this;
    const values = layers.map((map) => mapOf(map, [tile.layer, tile.head], chosen, (...wish) => viewer.ask(...wish)));
    const lacking = values.findIndex((one) => !one || typeof one === "string");
    if (lacking >= 0) {
      tile.why = values[lacking];
      return false;
    }
    const divide = layers[0].reduce[0] === "sum" ? chosen.tokens.length : 1;
    tile.values = values.map((one) => (divide > 1 ? one.map((value) => value / divide) : one));
    tile.extents = layers.map((map, at) => extentOf(tile.values[at], map, tile.name));
    const { highest } = joined(tile.extents);
    const most = highest ? `highest ${printed(highest)}` : "no evidence";
    tile.node.title = `${tile.name}: ${most}`;
    tile.node.setAttribute("aria-label", tile.node.title);
    return true;
  }

  /** What the wall lacks. */
  missing() {
    const why = this.tiles.filter(({ values }) => !values).map((one) => one.why);
    if (this.axes[1].length === 1 && this.viewer.heads > 1) why.push(LEFT_OUT);
    return [...new Set(why)].filter(Boolean).join(" ");
  }

  /** Let the Tab key reach one image of the wall, and stand on it. */
  focus(at) {
    this.at = clamp(at, 0, this.tiles.length - 1);
    this.tiles.forEach(({ node }, i) => node.setAttribute("tabindex", i === this.at ? 0 : -1));
    this.tiles[this.at].node.focus();
  }

  keyed(event) {
    // What is typed here is meant neither for the viewer behind nor for the notebook.
    event.stopPropagation();
    if (!(event.key in ARROWS)) return;
    const [across, down] = ARROWS[event.key];
    event.preventDefault();
    this.focus(this.at + down * this.across + across);
  }
}
