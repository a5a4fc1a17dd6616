/** One explanation: what is chosen in it, and what is drawn of it. */

import { codedMaps, inflate, ownBytes, readMaps } from "../data/payload.js";
import { headsOf, mapsOf } from "../data/maps.js";
import { centreWithin, clamp, range, same } from "../data/numbers.js";
import { paint } from "./canvas.js";
import { writeCaption } from "./captions.js";
import { linkedChanges } from "./compare.js";
import { controls } from "./controls.js";
import { element } from "./element.js";
import { Fields } from "./fields.js";
import { buildRoot, followState } from "./layout.js";
import { lookup } from "./lookup.js";
import { makePane, preparedPanes } from "./panes.js";
import { Pointer } from "./pointer.js";
import { writeReadout } from "./readout.js";
import { MOST_PANES, START_VIEW, STATE } from "./state.js";
import { Words } from "./words.js";

/** Milliseconds in which changes gather before Python hears of them. */
const SAVE_AFTER = 150;
const MOST_ZOOM = 24;

export class Viewer {
  /**
   * @param {object} model anywidget's, or one that lives in the page
   * @param {object} record as `readRecords` returns it
   */
  constructor(model, record) {
    this.model = model;
    this.record = record;
    // Viewers of other explanations that stand beside this one.
    this.peers = [];
    this.state = { ...STATE };
    this.load();
    this.seq = 0;
    this.panes = [];
    this.bases = new Map();
    this.extents = new Map();
    this.scratch = element("canvas");
    this.mask = element("canvas");
    this.pointer = new Pointer(this);
    this.words = new Words(this);
    this.fields = new Fields(this);
    buildRoot(this);
    this.panel = controls(this, this.fields);
  }

  start() {
    this.changed = () => {
      this.load();
      this.lead(this.state);
      this.refresh();
    };
    this.message = (content, buffers) => this.received(content, buffers);
    this.model.on("change", this.changed);
    this.model.on("msg:custom", this.message);
    this.sizes = new ResizeObserver(() => this.refresh());
    this.sizes.observe(this.stage);
    this.refresh();
  }

  stop() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.model.off("change", this.changed);
    this.model.off("msg:custom", this.message);
  }

  // ---- what is chosen

  /** Take the state from the model, but for what it has not heard of yet. */
  load() {
    const { model, state } = this;
    for (const name of Object.keys(STATE)) state[name] = this.unsaved?.[name] ?? model.get(name) ?? state[name];
    if (!this.methods.includes(state.method)) state.method = this.methods[0] ?? "";
  }

  /** Change the state here, and in the viewers beside. */
  set(changes) {
    this.lead(changes);
    this.hold(changes);
  }

  lead(changes) {
    for (const peer of this.peers) {
      const linked = linkedChanges(changes, this, peer);
      if (Object.keys(linked).length) peer.hold(linked);
    }
  }

  /** Change the state here, and tell Python soon. */
  hold(changes) {
    Object.assign(this.state, changes);
    this.refresh();
    clearTimeout(this.saving);
    this.unsaved = { ...this.unsaved, ...changes };
    this.saving = setTimeout(() => {
      for (const [name, value] of Object.entries(this.unsaved)) this.model.set(name, value);
      this.unsaved = {};
      this.model.save_changes();
    }, SAVE_AFTER);
  }

  reset() {
    this.set(START_VIEW);
  }

  /** Forget what is chosen, pinned and looked up. */
  clear() {
    this.pointer.kept = this.pointer.spot = null;
    this.set({ selected: [], pins: [], rois: [], hovered_patch: [], known: -1 });
  }

  /** Pin what is shown in a pane of its own, or take it out again. */
  pin() {
    const { pins } = this.state;
    const { tokens } = this.words.chosen;
    const rest = pins.filter((one) => !same(one, tokens));
    const more = [...pins, [...tokens]].slice(1 - MOST_PANES);
    this.set({ pins: rest.length < pins.length ? rest : more });
  }

  /** Zoom about a place, which stays where it is: (x, y) as shares of the image. */
  zoom(factor, about = [0.5, 0.5]) {
    const [x, y, before] = this.state.view;
    const now = clamp(before * factor, 1, MOST_ZOOM);
    const move = (centre, at) => centreWithin(at + ((centre - at) * before) / now, now);
    this.set({ view: [move(x, about[0]), move(y, about[1]), now] });
  }

  // ---- what there is to show

  get methods() {
    return [...new Set(this.record.maps.map((map) => map.method))];
  }

  /** The maps of the first pane's method. */
  get maps() {
    return this.record.maps.filter((map) => map.method === this.state.method);
  }

  get layers() {
    const { layers = [] } = this.maps[0] ?? {};
    return layers.length > 1 ? layers : [];
  }

  get heads() {
    return this.maps.length ? headsOf(this.maps[0]) : 1;
  }

  /** Viewers beside this one that show the same model: they share scales. */
  get kin() {
    return this.peers.filter(({ record }) => record.weights === this.record.weights);
  }

  get shownImages() {
    const { image } = this.state;
    const count = this.record.images.length;
    return image >= 0 && image < count ? [image] : range(0, Math.min(count, MOST_PANES));
  }

  /** The image whose windows are offered. */
  get front() {
    return this.record.images[this.shownImages[0]];
  }

  /** The maps of a method on an image that are drawn: all of one image, or the tile that was chosen. */
  drawn(method, image) {
    const { tile } = this.state;
    const maps = this.record.maps.filter((map) => map.method === method && map.image === image);
    if (maps.length < 2) return maps;
    if (tile === -1) return maps.filter((map) => map.label !== "overview");
    return [maps[tile] ?? maps[0]];
  }

  /** The map of each target for the layer and the head that are chosen, or why there are none. */
  valuesOf(map) {
    return mapsOf(map, this.state.layer, this.state.head, (...wish) => this.ask(...wish));
  }

  // ---- what the kernel sends

  /** Ask for the heads of a layer. */
  ask(map, layer) {
    if (!this.model.send) return;
    map.lazy.set(layer, "asked");
    this.model.send({ need: "heads", map: this.record.maps.indexOf(map), layer });
  }

  async received(content, buffers) {
    const bytes = buffers?.length && ownBytes(buffers[0]);
    if (content.images) return;
    if (content.heads !== undefined) {
      await this.addHeads(content, bytes);
    } else {
      this.notice = content.failed || content.says;
      if (content.missing) this.record.missing = content.missing;
      if (content.evidence) this.record.evidence = content.evidence;
      if (content.maps) await this.addMaps(content.maps, bytes);
    }
    this.refresh();
  }

  async addHeads({ heads, layer }, bytes) {
    const map = this.record.maps[heads];
    const shape = [map.shape[0], 1, headsOf(map), map.rows, map.cols];
    map.lazy.set(layer, { shape, ...codedMaps(await inflate(bytes), shape[0] * shape[2]) });
  }

  /** Show maps of a method that was measured just now beside the others. */
  async addMaps(maps, bytes) {
    const blob = ([at, length]) => bytes.slice(at, at + length);
    const found = await Promise.all(maps.map((map) => readMaps(map, blob)));
    const [{ method }] = found;
    const { compare } = this.state;
    this.record.maps = [...this.record.maps.filter((map) => map.method !== method), ...found];
    this.extents.clear();
    if (method !== this.state.method) this.set({ compare: [...new Set([...compare, method])] });
  }

  // ---- drawing

  /** Draw everything in the next animation frame, and what shares a scale with it. */
  refresh() {
    for (const one of [this, ...this.kin]) one.drawSoon();
  }

  drawSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      const { layer, head, method } = this.state;
      this.frame = 0;
      this.draw();
      this.root.dataset.drawn = `${method}|${this.words.chosen.tokens.join(",")}|${layer}|${head}`;
      this.root.dataset.seq = ++this.seq;
    });
  }

  draw() {
    const prepared = preparedPanes(this);
    prepared.forEach((pane, at) => {
      this.panes[at] ??= makePane(this);
      Object.assign(this.panes[at], pane);
    });
    this.panes.length = prepared.length;
    const nodes = this.panes.map((pane) => pane.node);
    if (!same([...this.stage.children], nodes)) this.stage.replaceChildren(...nodes);
    this.stage.dataset.panes = nodes.length;
    const found = lookup(this);
    for (const pane of this.panes) {
      paint(this, pane, found);
      writeCaption(this, pane);
    }
    this.words.mark(found);
    writeReadout(this, found);
    this.fields.follow();
    followState(this);
  }
}
