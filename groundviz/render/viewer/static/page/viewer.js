/** One explanation: what is chosen in it, and what is drawn of it. */

import { codedMaps, inflate, ownBytes, readMaps } from "../data/payload.js";
import { headsOf, mapsOf } from "../data/maps.js";
import { clamp, same } from "../data/numbers.js";
import { stackOf } from "../data/stacks.js";
import { windowIn } from "../data/window.js";
import { arrange } from "./arrange.js";
import { paint } from "./canvas.js";
import { placeScales, writeCaption } from "./captions.js";
import { linkedChanges } from "./compare.js";
import { controls, toolbar } from "./controls.js";
import { element } from "./element.js";
import { Fields } from "./fields.js";
import { writeMarks } from "./image.js";
import { buildRoot, followState } from "./layout.js";
import { lookup } from "./lookup.js";
import { makePane, preparedPanes } from "./panes.js";
import { Player } from "./player.js";
import { Pointer } from "./pointer.js";
import { writeReadout, writeTip } from "./readout.js";
import { forgetUnseen, imagesShown, writeStrip } from "./stacks.js";
import { MOST_PANES, MOST_ZOOM, START_VIEW, STATE } from "./state.js";
import { Wall } from "./wall.js";
import { Words } from "./words.js";

/** Milliseconds in which changes gather before Python hears of them. */
const SAVE_AFTER = 150;

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
    this.player = new Player(this);
    this.wall = new Wall(this);
    buildRoot(this);
    for (const { tiles } of record.images) tiles.came = () => this.refresh();
    this.panel = controls(this, this.fields);
    this.toolbar = toolbar(this, this.fields);
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
    this.resized = () => this.refresh();
    this.sizes = new ResizeObserver(this.resized);
    for (const one of [this.stage, this.head]) this.sizes.observe(one);
    window.addEventListener("resize", this.resized);
    this.refresh();
  }

  stop() {
    this.sizes.disconnect();
    window.removeEventListener("resize", this.resized);
    this.player.stop();
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
    if (changes.selected || "part" in changes || "method" in changes) this.player.stop();
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

  /** Zoom about a place, which stays where it is: (x, y) as shares of the image of a pane. */
  zoom(factor, about = [0.5, 0.5], pane = this.panes[0]) {
    const { centre } = pane.fit;
    const before = this.state.view[2];
    const now = clamp(before * factor, 1, MOST_ZOOM);
    const move = (axis) => clamp(about[axis] + ((centre[axis] - about[axis]) * before) / now, 0, 1);
    this.set({ view: [move(0), move(1), now] });
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
    return imagesShown(this, MOST_PANES);
  }

  /** The image whose windows are offered: of a stack the first, whichever slice is shown. */
  get front() {
    const { record } = this;
    return record.images[stackOf(record, this.shownImages[0]).images[0]];
  }

  /** The window of an image: the same values of the file as in front, where both count the same. */
  windowOf(image) {
    return windowIn(image, this.front, this.state);
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
    if (content.images || content.tile) return this.receiveImages(content, bytes);
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
    if (!same([...this.stage.querySelectorAll(".gv-pane")], nodes)) this.stage.replaceChildren(...nodes);
    const found = lookup(this);
    for (const pane of this.panes) {
      writeCaption(this, pane);
      writeStrip(this, pane);
    }
    placeScales(this);
    arrange(this);
    for (const pane of this.panes) {
      paint(this, pane, found);
      writeTip(this, pane);
      writeMarks(this, pane);
    }
    forgetUnseen(this);
    this.words.mark(found);
    writeReadout(this, found);
    this.fields.follow();
    this.wall.follow();
    followState(this);
  }
}
