/* groundviz viewer: one ES module, no dependencies, Canvas 2D.
 *
 * `render({ model, el })` is anywidget's contract; a plain page gives it a model that lives in the page.
 * It reads one payload (see groundviz/render/viewer/pack.py) and draws all in one animation frame; then it writes
 * `data-drawn` and `data-seq` on its root. Words of a record enter the page as text, never as markup.
 */

const STATE = {
  selected: [], part: 0, method: "", compare: [], difference: false, pins: [], rois: [], image: -1, tile: 0,
  layer: -1, head: -1, norm: "clip", sinks: false, smooth: false, fill: true, contour: true, opacity: 0.5,
  threshold: 0, cmap: "", window: 1, level: 0.5, invert: false, view: [0.5, 0.5, 1], tool: "pan",
  hovered_patch: [], known: -1,
};
/** What explanations that stand side by side do not share. */
const OWN = ["selected", "part", "pins", "rois", "hovered_patch"];
const NORMS = {
  clip: "to 99th percentile",
  each: "lowest to highest",
  shared: "one for all tokens",
  mass: "share of map’s total",
};
const TOOLS = { pan: "Move", window: "Window", box: "Box" };
const SINK_TOP = 0.02, SINK_TOKENS = 0.9, MOST_PANES = 4, MOST_OUTLINED = 64;
const KEYS = [
  ["← →  Home End", "token; with Shift, a phrase"],
  ["↑ ↓  [ ]", "layer, head"],
  ["m  d  p", "next method, difference of the first two panes, pin these words in a pane"],
  ["s  c", "cells or smooth; colours and outline, outline only, colours only"],
  ["o  t  n  k", "opacity, threshold, next scale, hide sink cells"],
  ["g", "next reference: which tokens looked inside"],
  ["w  b", "window tool, box tool"],
  ["i  + −  r", "invert the image, zoom, reset the view"],
  ["Esc", "clear selection, pins and box"],
  ["Shift-click  Ctrl-click", "a phrase, several tokens"],
  ["In the image", "hover or arrow keys: which tokens looked here. Click: keep. Shift-drag: box. Right-drag: window"],
];

// ---- page

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  // JupyterLab would take letters typed here for its own commands, such as "cut this cell".
  if (/^(select|input|button|summary)$/.test(tag) || "tabindex" in attributes) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
/** The centre of a view of zoom `k` that shows the image alone. */
const inside = (centre, k) => clamp(centre, 0.5 / k, 1 - 0.5 / k);
const told = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const small = value && Math.abs(value) < 1e-4;
  const [mantissa, power] = (small ? value.toExponential(digits - 1) : String(+value.toPrecision(digits))).split("e");
  const raised = power && String(+power).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  return String(+mantissa).replace("-", "−") + (raised ? ` × 10${raised}` : "");
}

const percent = (share) => `${share && share < 0.1 ? number(100 * share, 2) : Math.round(100 * share)} %`;

// ---- payload

/** Bytes of a DataView, from the start of a buffer of their own. */
const copied = (view) => new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function codes(content, count) {
  return { ends: new Float32Array(content.slice(0, 16 * count).buffer), cells: content.subarray(16 * count) };
}

/** The records of a payload: one, or several that stand side by side. */
async function unpacked(bytes) {
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  const blob = ([at, length]) => bytes.slice(start + at, start + at + length);
  if (header.packs) return (await Promise.all(header.packs.map((one) => unpacked(blob(one))))).flat();
  return [await unpack(header, blob)];
}

/** Maps with their values, and with the entries that are about one token each. */
async function withValues(map, blob) {
  const [targets, layers, heads, rows, cols] = map.shape;
  const [dy, top, dx, left] = map.to_source;
  Object.assign(map, { count: rows * cols, rows, cols, dy, top, dx, left, cache: new Map(), lazy: new Map() });
  Object.assign(map, codes(await inflate(blob(map.at)), targets * layers * heads));
  if (map.inside) map.inside = await inflate(blob(map.inside));
  map.singles = new Map();
  map.targets.forEach(({ tokens, foil }, at) => {
    if (tokens.length === 1 && foil == null) map.singles.set(tokens[0], at);
  });
  map.alone = [...map.singles].filter(([token]) => token >= 0).map(([, at]) => at);
  return map;
}

async function unpack(record, blob) {
  await Promise.all([
    ...record.maps.map((map) => withValues(map, blob)),
    ...record.images.map(async (image) => { image.bitmap = await decoded(blob(image.at)); }),
  ]);
  for (const [name, text] of Object.entries(record.colours)) record.colours[name] = fromBase64(text);
  return record;
}

const decoded = (png) => createImageBitmap(new Blob([png], { type: "image/png" }), { colorSpaceConversion: "none" });

const fromBase64 = (text) => Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));

// ---- maps

const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

const cellName = (map, at) =>
  `row ${Math.floor(at / map.cols) + 1} of ${map.rows}, column ${(at % map.cols) + 1} of ${map.cols}`;

/** The middle of a cell in source pixels. */
const middle = (map, row, col) => ({ x: map.left + (col + 0.5) * map.dx, y: map.top + (row + 0.5) * map.dy });

/** Which entries of a map a selection adds up, or null where it was not measured. */
function entries(map, chosen) {
  const whole = map.targets.findIndex(
    (one) => same(one.tokens, chosen.tokens) && one.foil === chosen.foil);
  if (whole >= 0) return [whole];
  if (chosen.foil != null || !chosen.tokens.length) return null;
  const found = chosen.tokens.map((token) => map.singles.get(token));
  return found.includes(undefined) ? null : found;
}

/** Index of a layer in a map; -1 for all of them, also where it does not tell layers apart. */
const layerAt = (map, layer) => (layer < 0 ? -1 : map.layers.indexOf(layer));
const headsOf = (map) => map.measured[1];

/** What of a map can be shown for one layer and head: [source, layer indices, head indices], or a reason. */
function section(map, layer, head, ask) {
  const at = layerAt(map, layer);
  const all = (length) => [...Array(length).keys()];
  const layers = at < 0 ? all(map.shape[1]) : [at];
  const there = map.shape[2];
  if (head < 0 || headsOf(map) === 1) return [map, layers, all(there)];
  if (there === headsOf(map)) return [map, layers, [head]];
  if (at < 0 && map.measured[0] > 1) return "Choose a layer to see its heads.";
  const key = at < 0 ? 0 : at;
  if (!map.lazy.has(key)) ask(map, key);
  const found = map.lazy.get(key);
  if (found === "asked") return "Fetching heads …";
  if (!found) return "Single heads are not in this page. Use explanation.view().";
  return [found, [0], [head]];
}

/** The map of each target, float32, for one layer and head. */
function perTarget(map, layer, head, ask) {
  const key = `${layer}/${head}`;
  if (map.cache.has(key)) return map.cache.get(key);
  const found = section(map, layer, head, ask);
  if (typeof found === "string") return found;
  const [source, layers, heads] = found;
  const [, L, H] = source.shape;
  const n = map.count, read = new Float64Array(256).fill(NaN);
  const divide = (map.reduce[1] === "mean" ? layers.length : 1) * (map.reduce[2] === "mean" ? heads.length : 1);
  const maps = map.targets.map((_, target) => {
    const total = new Float64Array(n);
    for (const layer of layers) {
      for (const head of heads) {
        const at = (target * L + layer) * H + head;
        const [low, a, b, high] = source.ends.subarray(4 * at, 4 * at + 4);
        for (let c = 0; c < 255; c++) {
          read[c] = c < 27 ? low + ((a - low) * c) / 27 : c < 227 ? a + ((b - a) * (c - 27)) / 200 : b + ((high - b) * (c - 227)) / 27;
        }
        for (let i = 0; i < n; i++) total[i] += read[source.cells[at * n + i]];
      }
    }
    for (let i = 0; i < n; i++) total[i] /= divide;
    return Float32Array.from(total);
  });
  map.cache.set(key, maps);
  if (map.cache.size > 12) map.cache.delete(map.cache.keys().next().value);
  return maps;
}

function combined(map, maps, chosen) {
  const found = entries(map, chosen);
  if (!found) return null;
  const divide = map.reduce[0] === "mean" ? found.length : 1;
  return maps[found[0]].map((_, cell) => found.reduce((total, at) => total + maps[at][cell], 0) / divide);
}

/** Cells that are among the strongest of nearly every token: they answer to none of them. */
function sinksOf(map, maps) {
  if (maps.sinks) return maps.sinks;
  const top = Math.max(1, Math.round(SINK_TOP * map.count));
  const hits = new Uint16Array(map.count);
  for (const at of map.alone) {
    const size = (cell) => Math.abs(maps[at][cell]) || 0;
    const order = [...maps[at].keys()].sort((a, b) => size(b) - size(a));
    for (const cell of order.slice(0, top)) hits[cell]++;
  }
  const enough = map.alone.length > 2 ? SINK_TOKENS * map.alone.length : Infinity;
  maps.sinks = new Set([...hits.keys()].filter((cell) => hits[cell] >= enough));
  return maps.sinks;
}

function percentile(sorted, share) {
  const at = share * (sorted.length - 1), below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** The ends of a colour bar over arrays of values, by the rule of groundviz/render/base/colour.py. */
function scaleOver(arrays, signed, clip) {
  const kept = [];
  for (const values of arrays) for (const v of values) if (v === v) kept.push(signed ? Math.abs(v) : v);
  const reach = Float64Array.from(kept).sort();
  if (!reach.length) return null;
  let low = reach[0], high = reach[reach.length - 1];
  const limit = clip ? percentile(reach, 0.99) : high;
  const clipped = low < limit && limit < high;
  if (clipped) high = limit;
  if (signed) low = -high;
  return high > low ? { low, high, clipped, signed } : null;
}

/** Whether every cell has the same value: such maps point nowhere. */
const flat = (arrays) => {
  const seen = new Set();
  for (const values of arrays) for (const v of values) if (v === v && seen.add(v).size > 1) return false;
  return true;
};

// ---- colours and lines

const position = (value, scale) => clamp((value - scale.low) / (scale.high - scale.low), 0, 1);

/** Values between cell centres on a grid `factor` times finer, never beyond cells that hold a value. */
function finer(values, rows, cols, factor) {
  const R = rows * factor, C = cols * factor;
  const out = new Float32Array(R * C).fill(NaN);
  for (let r = 0; r < R; r++) {
    const y = clamp((r + 0.5) / factor - 0.5, 0, rows - 1), y0 = Math.floor(y), fy = y - y0;
    const y1 = Math.min(y0 + 1, rows - 1), own = Math.floor(r / factor) * cols;
    for (let c = 0; c < C; c++) {
      if (Number.isNaN(values[own + Math.floor(c / factor)])) continue;
      const x = clamp((c + 0.5) / factor - 0.5, 0, cols - 1), x0 = Math.floor(x), fx = x - x0;
      const x1 = Math.min(x0 + 1, cols - 1);
      let total = 0, weight = 0;
      const add = (at, w) => { const v = values[at]; if (w > 0 && v === v) { total += w * v; weight += w; } };
      add(y0 * cols + x0, (1 - fy) * (1 - fx));
      add(y0 * cols + x1, (1 - fy) * fx);
      add(y1 * cols + x0, fy * (1 - fx));
      add(y1 * cols + x1, fy * fx);
      if (weight > 1e-9) out[r * C + c] = total / weight;
    }
  }
  return out;
}

/** Lines [x0, y0, x1, y1] in cells around those that are in. */
function edges(inside, rows, cols) {
  const lines = [];
  const at = (r, c) => r >= 0 && c >= 0 && r < rows && c < cols && inside[r * cols + c];
  for (let r = 0; r <= rows; r++) for (let c = 0; c <= cols; c++) {
    if (at(r, c) !== at(r - 1, c)) lines.push([c, r, c + 1, r]);
    if (at(r, c) !== at(r, c - 1)) lines.push([c, r, c, r + 1]);
  }
  return lines;
}

/** Marching squares: lines [x0, y0, x1, y1] in cells where values between cell centres cross `level`. */
function isolines(values, rows, cols, level) {
  const lines = [];
  const v = (r, c) => { const x = values[clamp(r, 0, rows - 1) * cols + clamp(c, 0, cols - 1)]; return x === x ? x : -Infinity; };
  for (let r = -1; r < rows; r++) for (let c = -1; c < cols; c++) {
    const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]];
    const cut = [];
    corners.forEach(([x0, y0], e) => {
      const [x1, y1] = corners[(e + 1) % 4], a = v(y0, x0), b = v(y1, x1);
      if ((a >= level) === (b >= level)) return;
      const t = Number.isFinite(a - b) ? (level - a) / (b - a) : 0.5;
      cut.push([clamp(x0 + 0.5 + t * (x1 - x0), 0, cols), clamp(y0 + 0.5 + t * (y1 - y0), 0, rows)]);
    });
    for (let i = 0; i + 1 < cut.length; i += 2) lines.push([...cut[i], ...cut[i + 1]]);
  }
  return lines;
}

// ---- the viewer

async function render({ model, el }) {
  const records = await unpacked(copied(model.get("_pack")));
  // What a second explanation does not share with the first stays in the page.
  const viewers = records.map((record, at) => new Viewer(at ? new PageModel({}) : model, record));
  for (const one of viewers) one.peers = viewers.filter((other) => other !== one);
  el.append(viewers.length > 1 ? sideBySide(viewers) : viewers[0].whole());
  for (const one of viewers) one.start();
  if (model.get("_withheld") && model.send) fetchImages(model, viewers);
  if (model.get("_live")) document.dispatchEvent(new CustomEvent("groundviz", { detail: model.get("_live") }));
  return () => viewers.forEach((one) => one.stop());
}

/** Ask for the pixels that the payload leaves out, so that they are seen but not saved with the notebook. */
function fetchImages(model, viewers) {
  const receive = async (said, buffers) => {
    if (!said.images) return;
    model.off("msg:custom", receive);
    const bytes = copied(buffers[0]);
    for (const [side, number, at, length] of said.images) {
      const one = viewers[side];
      one.record.images[number].bitmap = await decoded(bytes.slice(at, at + length));
      one.bases.clear();
      one.refresh();
    }
  };
  model.on("msg:custom", receive);
  model.send({ need: "images" });
}

/** Several viewers with the controls of one, which the others follow. */
function sideBySide(viewers) {
  const [first, ...others] = viewers;
  for (const one of others) one.quiet = true;
  const beside = h("div", { class: "gv-side-by-side" }, ...viewers.map((one) => one.root),
    h("div", { onkeydown: (event) => first.keyed(event) }, first.panel, first.sheet));
  beside.style.setProperty("--gv-sides", viewers.length);
  return h("div", { class: "gv-root" }, beside);
}

class Viewer {
  constructor(model, record) {
    this.model = model;
    this.record = record;
    this.peers = [];
    this.follows = [];
    this.state = { ...STATE };
    this.load();
    // The token under the pointer; the place {image, x, y} under it, in source pixels; the same, clicked;
    // the box that is being drawn; the token with the focus, and where a phrase begins.
    this.hover = this.spot = this.kept = this.drawing = null;
    this.cursor = this.anchor = this.seq = 0;
    this.panes = [];
    this.bases = new Map();
    this.sharedScales = new Map();
    this.scratch = h("canvas");
    this.build();
  }

  start() {
    this.changed = () => {
      this.load();
      this.lead(this.state);
      this.refresh();
    };
    this.model.on("change", this.changed);
    this.message = (said, buffers) => this.received(said, buffers);
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

  load() {
    for (const name of Object.keys(STATE)) this.state[name] = this.unsaved?.[name] ?? this.model.get(name) ?? this.state[name];
    if (!this.methods.includes(this.state.method)) this.state.method = this.methods[0] ?? "";
  }

  get methods() {
    return [...new Set(this.record.maps.map((map) => map.method))];
  }

  set(changes) {
    this.lead(changes);
    this.hold(changes);
  }

  /** Let the explanations beside this one follow. */
  lead(changes) {
    const linked = Object.entries(changes).filter(([name]) => !OWN.includes(name));
    for (const peer of this.peers) {
      const own = Object.fromEntries(linked);
      if (changes.selected) own.selected = changes.selected.map((token) => this.twin(token, peer)).filter((at) => at !== null);
      if (Object.keys(own).length) peer.hold(own);
    }
  }

  /** The same word in the explanation beside this one. */
  twin(token, peer) {
    const text = this.token(token).text, alike = (viewer) => viewer.listOf(token).filter((at) => viewer.token(at).text === text);
    return alike(peer)[alike(this).indexOf(token)] ?? null;
  }

  hold(changes) {
    Object.assign(this.state, changes);
    this.refresh();
    clearTimeout(this.saving);
    this.unsaved = { ...this.unsaved, ...changes };
    this.saving = setTimeout(() => {
      for (const [name, value] of Object.entries(this.unsaved)) this.model.set(name, value);
      this.unsaved = {};
      this.model.save_changes();
    }, 150);
  }

  ask(map, layer) {
    if (!this.model.send) return;
    map.lazy.set(layer, "asked");
    this.model.send({ need: "heads", map: this.record.maps.indexOf(map), layer });
  }

  async received(said, buffers) {
    const bytes = buffers?.length && copied(buffers[0]);
    if (said.images) return;
    if (said.heads !== undefined) {
      const map = this.record.maps[said.heads], shape = [map.shape[0], 1, headsOf(map), map.rows, map.cols];
      map.lazy.set(said.layer, { shape, ...codes(await inflate(bytes), shape[0] * shape[2]) });
    } else {
      this.notice = said.failed || said.says;
      if (said.missing) this.record.missing = said.missing;
      if (said.maps) await this.grow(said.maps, bytes);
    }
    this.refresh();
  }

  /** Show maps of a method that was measured just now beside the others. */
  async grow(maps, bytes) {
    const found = await Promise.all(maps.map((map) => withValues(map, ([at, length]) => bytes.slice(at, at + length))));
    const { method } = found[0], { compare } = this.state;
    this.record.maps = [...this.record.maps.filter((map) => map.method !== method), ...found];
    this.sharedScales.clear();
    if (method !== this.state.method) this.set({ compare: [...new Set([...compare, method])] });
  }

  token(at) {
    return at < 0 ? this.asked.get(at) : this.record.tokens[at];
  }

  /** The tokens that stand in one list with a token: those of the answer, or those of the question. */
  listOf(at) {
    return this.lists[+(at < 0)];
  }

  /** What is shown: the token under the pointer, the tokens chosen, or a named part of the answer. */
  get chosen() {
    const { selected, part } = this.state;
    if (this.hover !== null) return this.ofTokens([this.hover]);
    if (selected.length) return this.ofTokens(selected);
    return this.record.parts[part] ?? this.record.parts[0];
  }

  ofTokens(tokens) {
    const sorted = [...tokens].sort((a, b) => a - b);
    const known = this.record.parts.find((part) => same(part.tokens, sorted) && part.foil == null);
    const text = sorted.map((at, i) => {
      const token = this.token(at);
      return (i && at !== sorted[i - 1] + 1 ? " … " : i && token?.before ? " " : "") + (token?.text ?? "");
    });
    return known ?? { tokens: sorted, label: `“${text.join("")}”${sorted[0] < 0 ? " (in the question)" : ""}`, foil: null };
  }

  /** The maps of a method on an image that are drawn: all of one image, or the tile that was chosen. */
  drawn(method, image) {
    const maps = this.record.maps.filter((map) => map.method === method && map.image === image);
    if (maps.length < 2) return maps;
    const { tile } = this.state;
    if (tile === -1) return maps.filter((map) => map.label !== "overview");
    return [maps[tile] ?? maps[0]];
  }

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

  get front() {
    return this.record.images[this.shownImages[0]];
  }

  get shownImages() {
    const { image } = this.state, count = this.record.images.length;
    return image >= 0 && image < count ? [image] : [...Array(Math.min(count, MOST_PANES)).keys()];
  }

  /** What stands side by side: methods, then words that were pinned, on each image, then the difference. */
  wanted() {
    const { method, compare, pins, difference } = this.state;
    const found = [];
    const methods = [method, ...compare.filter((one) => one !== method && this.methods.includes(one))];
    for (const image of this.shownImages) {
      for (const one of methods) found.push({ method: one, image, chosen: this.chosen, pinned: false });
      for (const tokens of pins) found.push({ method, image, chosen: this.ofTokens(tokens), pinned: true });
    }
    const few = found.slice(0, MOST_PANES);
    const second = few.findIndex((pane, at) => at > 0 && pane.image === few[0].image);
    if (difference && second > 0) {
      few.splice(MOST_PANES - 1);
      few.push({ image: few[0].image, of: [0, second] });
    }
    return few;
  }

  build() {
    const { record } = this;
    this.asked = new Map(record.asked.map((token) => [token.index, token]));
    this.lists = [record.tokens.map((_, at) => at), [...this.asked.keys()]];
    this.chips = new Map();
    this.answer = this.listed("Tokens of the answer", this.lists[0]);
    this.beware = h("ul", { class: "gv-beware", "aria-label": "Beware" });
    const question = this.asked.size ? this.listed("Tokens of the question", this.lists[1]) : h("h2", {}, record.question);
    question.classList.add("gv-question");
    this.rove();
    this.parts = record.parts.map((part, at) =>
      this.button(part.text, () => this.set({ part: at, selected: [] }), { title: part.text }));
    this.stage = h("div", { class: "gv-stage" });
    this.panel = this.controls();
    this.readout = h("p", { class: "gv-readout" });
    this.live = h("p", { class: "gv-sr", "aria-live": "polite" });
    this.sheet = h("details", { class: "gv-keys" }, h("summary", {}, "Keys and gestures"),
      h("dl", {}, ...KEYS.flatMap(([key, does]) => [h("dt", {}, key), h("dd", {}, does)])));
    const given = `Answer${record.source === "generated" ? "" : " given to the model"} · point at a word`;
    const head = h("div", { class: "gv-head" },
      record.name ? h("p", { class: "gv-name" }, record.name, record.label ? ` · ${record.label}` : "") : null,
      h("div", {}, h("span", { class: "gv-label" }, "Question"), question,
        ...record.before.map((one) => h("p", { class: "gv-special" }, one))),
      h("div", { class: "gv-answer" },
        h("span", { class: "gv-label", title: `probability ${record.sure}` }, given), this.answer,
        // Apart from the tokens, which are the model's own: this sign is ours.
        record.cut ? h("p", { class: "gv-warn" }, record.cut) : null),
      this.beware,
      record.parts.length > 1 ? h("div", { class: "gv-parts", role: "group", "aria-label": "Parts of the answer" }, ...this.parts) : null);
    this.root = h("section", {
      class: "gv-root", "data-live": this.model.get("_live"), "aria-label": "groundviz viewer", "data-jp-suppress-context-menu": "true",
      onkeydown: (event) => this.keyed(event),
    }, head, h("div", { class: "gv-body" }, h("div", {}, this.stage, this.readout)), this.live);
  }

  /** What is not whole: maps that rest on too little, methods that never ran. */
  undone() {
    return [...new Set([...this.record.maps.map((map) => map.shortfall), ...this.record.missing])].filter(Boolean);
  }

  /** How far off a map may be by chance: known for what was measured as a whole. */
  error(map, chosen) {
    const { layer, head } = this.state, found = map?.errors && chosen && entries(map, chosen);
    if (!found) return "";
    const all = (layerAt(map, layer) < 0 || map.measured[0] === 1) && (head < 0 || headsOf(map) === 1);
    return (found.length === 1 && all && map.errors[found[0]]) || "standard error not known for this combination";
  }

  /** The viewer with controls of its own. */
  whole() {
    this.root.querySelector(".gv-body").append(this.panel);
    this.live.before(this.sheet);
    return this.root;
  }

  /** Tokens to point at and to choose from, as they stand in their text. */
  listed(name, tokens) {
    const list = h("div", {
      class: "gv-tokens", role: "listbox", "aria-label": name, "aria-multiselectable": "true",
      onpointerleave: () => this.hovered(null),
      // Shift-click means a phrase, not text to be copied.
      onmousedown: (event) => { if (event.shiftKey) event.preventDefault(); },
    });
    for (const at of tokens) {
      const token = this.token(at);
      const chip = h("span", {
        class: token.spoken ? "gv-token" : "gv-token gv-special", role: "option",
        title: token.sure && `probability ${token.sure}`, tabindex: -1,
        onpointerenter: (event) => { if (event.pointerType !== "touch") this.hovered(at); },
        onclick: (event) => this.pick(at, event),
        onfocus: () => { this.cursor = at; this.rove(); },
      }, token.text);
      for (const mark of token.before || (token.spoken ? "" : " ")) list.append(mark === "\n" ? h("br") : mark);
      list.append(chip);
      this.chips.set(at, chip);
    }
    return list;
  }

  /** A control under its name; `follow` brings it up to date where it is `shown`. */
  field(name, shown = () => true, follow, ...parts) {
    const label = h("label", { class: "gv-field" }, h("span", {}, name), ...parts);
    this.follows.push(() => {
      label.hidden = !shown();
      if (!label.hidden) follow();
    });
    return label;
  }

  select(name, { options, value, does, shown }) {
    const list = h("select", { "aria-label": name, onchange: () => does(list.value) });
    return this.field(name, shown, () => {
      const found = options(), key = JSON.stringify(found);
      if (list.dataset.key !== key) {
        list.dataset.key = key;
        list.replaceChildren(...found.map(([each, text]) => h("option", { value: each }, text)));
      }
      list.value = value();
    }, list);
  }

  range(name, { low = 0, high, step = 1, value, text, does, shown }) {
    const slider = h("input", { "aria-label": name, type: "range", min: low, step, oninput: () => does(+slider.value) });
    const said = h("output", { class: "gv-value" });
    return this.field(name, shown, () => {
      slider.max = high();
      slider.value = value();
      told(said, text());
      slider.setAttribute("aria-valuetext", text());
    }, slider, said);
  }

  /** A slider over a share from 0 to 1. */
  portion(name, key, { low = 0, high = 100, step = 1, text = () => percent(this.state[key]) } = {}) {
    const value = () => Math.round(100 * this.state[key]), does = (now) => this.set({ [key]: now / 100 });
    return this.range(name, { low, high: () => high, step, value, text, does });
  }

  check(name, key, shown = () => true, title = null) {
    const box = h("input", { type: "checkbox", onchange: () => this.set({ [key]: box.checked }) });
    const label = h("label", { class: "gv-check", title }, box, h("span", {}, name));
    this.follows.push(() => { label.hidden = !shown(); box.checked = this.state[key]; });
    return label;
  }

  button(name, onclick, more = {}) {
    return h("button", { type: "button", onclick, ...more }, name);
  }

  controls() {
    const group = (name, ...children) => h("fieldset", { class: "gv-group" }, h("legend", {}, name), ...children);
    const row = (...children) => h("div", { class: "gv-row" }, ...children);
    const tools = Object.entries(TOOLS).map(([tool, name]) => this.button(name, () => this.set({ tool })));
    this.follows.push(() => tools.forEach((button, at) =>
      button.setAttribute("aria-pressed", Object.keys(TOOLS)[at] === this.state.tool)));
    return h("div", { class: "gv-controls" },
      group("Map", ...this.mapControls(), ...this.measuring()),
      group("Colours", ...this.colourControls(),
        row(this.check("Colour", "fill"), this.check("Outline", "contour"), this.check("Smooth", "smooth"))),
      group("Image", ...this.windowControls(), this.check("Invert", "invert"),
        h("div", { class: "gv-row", role: "group", "aria-label": "Dragging in the image" }, ...tools),
        row(this.button("Reset view", () => this.reset()), this.button("Save as PNG", () => this.save()))));
  }

  mapControls() {
    const { state, record } = this, numbered = (list) => list.map((one, at) => [at, one.name]);
    const methods = () => this.methods.map((method) => [method, record.maps.find((map) => map.method === method).name]);
    const tiles = () => this.maps.filter((map) => map.image === this.shownImages[0]);
    const named = (number) => (number < 0 ? "all" : String(number));
    return [
      this.select("Method", {
        options: methods, value: () => state.method,
        does: (method) => this.set({ method, layer: -1, head: -1, compare: state.compare.filter((one) => one !== method) }),
      }),
      this.select("Beside it", {
        options: () => [["", "nothing"], ...methods()], value: () => state.compare[0] ?? "", shown: () => this.methods.length > 1,
        does: (method) => this.set({ compare: method ? [method] : [], difference: Boolean(method) && state.difference }),
      }),
      this.check("Difference of the first two", "difference",
        () => this.panes.some((pane, at) => at && pane.image === this.panes[0].image)),
      this.select("Image", {
        options: () => [[-1, "all"], ...numbered(record.images)], value: () => state.image,
        does: (at) => this.set({ image: +at }), shown: () => record.images.length > 1,
      }),
      this.select("Tile", {
        options: () => [...tiles().map((map, at) => [at, map.label || `tile ${at + 1}`]), ...(tiles().length > 2 ? [[-1, "all tiles"]] : [])],
        value: () => state.tile, does: (at) => this.set({ tile: +at }), shown: () => tiles().length > 1,
      }),
      this.range("Layer", {
        low: -1, high: () => this.layers.length - 1, value: () => this.layers.indexOf(state.layer), text: () => named(state.layer),
        does: (at) => this.set({ layer: this.layers[at] ?? -1 }), shown: () => this.layers.length,
      }),
      this.range("Head", {
        low: -1, high: () => this.heads - 1, value: () => state.head, text: () => named(state.head),
        does: (head) => this.set({ head }), shown: () => this.heads > 1 && (this.maps[0].shape[2] > 1 || this.model.send),
      }),
      this.select("Reference", {
        options: () => [[-1, "none"], ...numbered(record.known)], value: () => state.known,
        does: (at) => this.set({ known: +at }), shown: () => record.known.length,
      }),
    ];
  }

  colourControls() {
    const { state, record } = this, names = () => record.kinds[+Boolean(this.maps[0]?.signed)];
    return [
      this.select("Scale", { options: () => Object.entries(NORMS), value: () => state.norm, does: (norm) => this.set({ norm }) }),
      this.check("Hide sink cells", "sinks", () => this.maps[0]?.alone.length > 2,
        "Cells that are among the strongest for nearly every token"),
      this.select("Colours", {
        options: () => names().map((name) => [name, name.replace("_r", "")]), does: (cmap) => this.set({ cmap }),
        value: () => (names().includes(state.cmap) ? state.cmap : names()[0]),
      }),
      this.portion("Opacity", "opacity", { step: 5 }),
      this.portion("Threshold", "threshold", { high: 95, step: 5 }),
    ];
  }

  windowControls() {
    const { state } = this, near = (a, b) => Math.abs(a - b) < 1e-3;
    const preset = () => this.front.presets.findIndex(([, level, width]) => near(level, state.level) && near(width, state.window));
    const raw = (read, share) => (this.front.window ? number(read(...this.front.window), 4) : percent(share));
    return [
      this.select("Window", {
        options: () => [...this.front.presets.map(([name], at) => [at, name]), ...(preset() < 0 ? [[-1, "own"]] : [])], value: preset,
        does: (at) => {
          const [, level, window] = this.front.presets[at] ?? [];
          if (window) this.set({ level, window });
        },
      }),
      this.portion("Level", "level", { text: () => raw((centre, width) => centre + (state.level - 0.5) * width, state.level) }),
      this.portion("Width", "window", { low: 1, text: () => raw((_, width) => Math.abs(state.window * width), state.window) }),
    ];
  }

  /** What the kernel can measure still, how far it has come, and what it said last. */
  measuring() {
    const offered = () => this.model.get("_more") ?? [], doing = () => this.model.get("_busy") ?? {};
    const progress = h("progress", { max: 1, "aria-label": "Progress" }), line = h("span", { role: "status" });
    const stop = this.button("Stop", () => this.model.send({ need: "stop" }));
    const busy = h("div", { class: "gv-busy" }, line, progress, stop);
    this.follows.push(() => {
      const { method, done, total, says } = doing();
      busy.hidden = !method && !this.notice;
      progress.hidden = stop.hidden = !method;
      if (total) progress.value = done / total;
      else progress.removeAttribute("value");
      told(line, says ?? this.notice ?? "");
    });
    const wished = () => offered().find(({ name }) => name === this.wish), free = () => offered().length && !doing().method;
    const more = this.select("Also", {
      options: () => [["", "another method …"], ...offered().map(({ name, title }) => [name, title])],
      value: () => wished()?.name ?? "", shown: free,
      does: (method) => { this.wish = method; this.refresh(); },
    });
    const cost = h("span"), go = this.button("Measure", () => this.model.send({ need: "method", method: this.wish }));
    const ask = h("div", { class: "gv-busy" }, cost, go);
    this.follows.push(() => {
      ask.hidden = !free() || !wished();
      told(cost, wished()?.cost ?? "");
    });
    return [more, ask, busy];
  }

  hovered(token) {
    if (token === this.hover) return;
    this.hover = token;
    for (const peer of this.peers) {
      peer.hover = token === null ? null : this.twin(token, peer);
      peer.refresh();
    }
    this.refresh();
  }

  pick(at, event = {}) {
    const { selected } = this.state;
    this.hover = null;
    if (event.shiftKey) return this.extend(at);
    this.anchor = at;
    if (event.ctrlKey || event.metaKey) {
      const kept = selected.filter((one) => one !== at && one < 0 === at < 0);
      const found = selected.includes(at) ? kept : [...kept, at];
      return this.set({ selected: found.sort((a, b) => a - b) });
    }
    return this.set({ selected: same(selected, [at]) ? [] : [at] });
  }

  extend(at) {
    if (this.anchor < 0 !== at < 0) this.anchor = at;
    const [first, last] = [Math.min(this.anchor, at), Math.max(this.anchor, at)];
    this.set({ selected: this.listOf(at).filter((one) => first <= one && one <= last) });
  }

  /** Move the cursor by some tokens of its list, and choose what it is on. */
  go(by, extend) {
    const list = this.listOf(this.cursor);
    this.cursor = list[clamp(list.indexOf(this.cursor) + by, 0, list.length - 1)];
    this.hover = null;
    this.rove();
    this.chips.get(this.cursor).focus();
    if (extend) return this.extend(this.cursor);
    this.anchor = this.cursor;
    return this.set({ selected: [this.cursor] });
  }

  rove() {
    const other = this.lists[+(this.cursor >= 0)][0];
    this.chips.forEach((chip, at) => chip.setAttribute("tabindex", at === this.cursor || at === other ? 0 : -1));
  }

  valuesOf(map) {
    return perTarget(map, this.state.layer, this.state.head, (...wish) => this.ask(...wish));
  }

  get box() {
    return this.drawing ?? this.state.rois.at(-1);
  }

  /** Which of the tokens looked at a place: a value for each token, in the first pane's method. */
  lookup() {
    const { state } = this;
    const { box } = this;
    const spot = this.spot ?? (this.drawing ? null : this.kept);
    const known = spot || box ? null : this.record.known[state.known];
    const area = spot ?? box ?? known;
    if (!area) return null;
    for (const map of [...this.drawn(state.method, area.image)].reverse()) {
      const maps = this.valuesOf(map);
      if (typeof maps === "string") return null;
      const weights = spot ? this.cellAt(map, spot) : box ? this.cellsIn(map, box) : this.cellsOf(map, state.known);
      if (!weights.length) continue;
      const size = weights.reduce((total, [, weight]) => total + weight, 0);
      const read = (values) => weights.reduce((total, [at, weight]) => total + values[at] * weight, 0) / size;
      const values = new Map([...map.singles].flatMap(([token, at]) => (this.chips.has(token) ? [[token, read(maps[at])]] : [])));
      const shown = combined(map, maps, this.chosen);
      return { map, weights, values, spot, known, size, shown, value: shown ? read(shown) : NaN };
    }
    return null;
  }

  cellAt(map, { x, y }) {
    const row = Math.floor((y - map.top) / map.dy), col = Math.floor((x - map.left) / map.dx);
    if (row < 0 || col < 0 || row >= map.rows || col >= map.cols) return [];
    const at = row * map.cols + col;
    return map.cells[at] === 255 ? [] : [[at, 1]];
  }

  cellsIn(map, { x0, y0, x1, y1 }) {
    const share = (at, scale, shift, from, to) =>
      Math.max(0, Math.min(shift + (at + 1) * scale, to) - Math.max(shift + at * scale, from)) / scale;
    const found = [];
    for (let row = 0; row < map.rows; row++) for (let col = 0; col < map.cols; col++) {
      const part = share(row, map.dy, map.top, y0, y1) * share(col, map.dx, map.left, x0, x1);
      const at = row * map.cols + col;
      if (part > 0 && map.cells[at] !== 255) found.push([at, part]);
    }
    return found;
  }

  /** The share of each cell that lies inside a known outline. */
  cellsOf(map, known) {
    const shares = map.inside.subarray(known * map.count, (known + 1) * map.count);
    return [...shares].flatMap((share, at) => (share && map.cells[at] !== 255 ? [[at, share / 255]] : []));
  }

  keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // What is typed here is not meant for the notebook.
    event.stopPropagation();
    const tag = event.target.tagName, key = event.key;
    if (tag === "SELECT" && key !== "Escape") return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (tag === "INPUT" && (arrow || /^(Home|End|PageUp|PageDown| |Tab)$/.test(key))) return;
    const pane = this.panes.find((one) => one.canvas === event.target);
    if (this.pressed(key, arrow, pane, event)) event.preventDefault();
  }

  pressed(key, arrow, pane, event) {
    const { state } = this;
    if (pane && arrow) return this.walk(pane, arrow);
    if (pane && (key === "Enter" || key === " ")) { this.keep(this.spot); return true; }
    if (arrow) {
      if (arrow[0]) this.go(state.selected.length || event.shiftKey ? arrow[0] : 0, event.shiftKey);
      else this.scrub(-arrow[1]);
      return true;
    }
    const token = event.target.getAttribute("role") === "option";
    if (token && (key === "Enter" || key === " ")) { this.pick(this.cursor, event); return true; }
    const cycle = (list, value) => list[(list.indexOf(value) + 1) % list.length];
    const does = {
      Home: () => this.go(-Infinity, event.shiftKey),
      End: () => this.go(Infinity, event.shiftKey),
      m: () => this.set({ method: cycle(this.methods, state.method), layer: -1, head: -1 }),
      "[": () => this.set({ head: Math.max(-1, state.head - 1) }),
      "]": () => this.set({ head: Math.min(this.heads - 1, state.head + 1) }),
      d: () => this.set({ difference: !state.difference }),
      p: () => this.pin(),
      s: () => this.set({ smooth: !state.smooth }),
      c: () => this.set(state.fill && state.contour ? { fill: false } : state.contour ? { fill: true, contour: false } : { contour: true }),
      o: () => this.set({ opacity: cycle([0.25, 0.5, 0.75, 1, 0], state.opacity) }),
      t: () => this.set({ threshold: cycle([0, 0.25, 0.5, 0.75], state.threshold) }),
      n: () => this.set({ norm: cycle(Object.keys(NORMS), state.norm) }),
      k: () => this.set({ sinks: !state.sinks }),
      g: () => this.set({ known: cycle([...this.record.known.keys(), -1], state.known) }),
      w: () => this.set({ tool: state.tool === "window" ? "pan" : "window" }),
      b: () => this.set({ tool: state.tool === "box" ? "pan" : "box" }),
      i: () => this.set({ invert: !state.invert }),
      "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8),
      r: () => this.reset(),
      "?": () => { this.sheet.open = !this.sheet.open; },
      Escape: () => { this.kept = this.spot = null; this.set({ selected: [], pins: [], rois: [], hovered_patch: [], known: -1 }); },
    }[key];
    if (!does) return false;
    does();
    return true;
  }

  scrub(step) {
    if (!this.layers.length) return;
    const at = clamp(this.layers.indexOf(this.state.layer) + step, -1, this.layers.length - 1);
    this.set({ layer: this.layers[at] ?? -1 });
  }

  walk(pane, [dx, dy]) {
    const [map] = pane.layers;
    if (!map) return true;
    const from = this.spot ?? this.kept ?? middle(map, (map.rows - 1) / 2, (map.cols - 1) / 2);
    const col = clamp(Math.floor((from.x - map.left) / map.dx) + dx, 0, map.cols - 1);
    const row = clamp(Math.floor((from.y - map.top) / map.dy) + dy, 0, map.rows - 1);
    this.spot = { image: pane.image, ...middle(map, row, col) };
    this.refresh();
    return true;
  }

  keep(spot) {
    this.kept = spot && this.kept && this.kept.x === spot.x && this.kept.y === spot.y ? null : spot;
    this.set({ rois: [] });
  }

  pin() {
    const { pins } = this.state, { tokens } = this.chosen;
    const rest = pins.filter((one) => !same(one, tokens));
    this.set({ pins: rest.length < pins.length ? rest : [...pins, [...tokens]].slice(1 - MOST_PANES) });
  }

  reset() {
    this.set({ view: [0.5, 0.5, 1], window: 1, level: 0.5, invert: false });
  }

  zoom(factor, about = [0.5, 0.5]) {
    const [x, y, k] = this.state.view;
    const now = clamp(k * factor, 1, 24);
    const move = (centre, at) => inside(at + ((centre - at) * k) / now, now);
    this.set({ view: [move(x, about[0]), move(y, about[1]), now] });
  }

  pane(at) {
    if (this.panes[at]) return this.panes[at];
    const leave = () => { if (!this.grab) { this.spot = null; this.refresh(); } };
    const canvas = h("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "heatmap",
      onpointermove: (event) => this.moved(pane, event), onpointerdown: (event) => this.grabbed(pane, event),
      onpointerleave: leave, onblur: leave, ondblclick: () => this.reset(), oncontextmenu: (event) => event.preventDefault(),
    });
    const bar = h("canvas", { class: "gv-bar", width: 256, height: 1, role: "img", "aria-label": "Colour scale" });
    const part = (kind) => h("span", { class: `gv-${kind}` });
    const pane = {
      canvas, bar, title: part("title"), undone: part("warn"), detail: part("detail"), low: part("end"), high: part("end"),
      unit: part("unit"), rule: part("rule"), none: h("div", { class: "gv-none" }), layers: [],
    };
    pane.scale = h("div", { class: "gv-scale" }, h("span", { class: "gv-ends" }, pane.low, bar, pane.high), pane.unit, pane.rule);
    pane.node = h("figure", { class: "gv-pane" },
      h("figcaption", {}, pane.title, pane.undone, pane.detail), h("div", { class: "gv-frame" }, canvas, pane.none), pane.scale);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = this.place(pane, event), [rows, cols] = this.record.images[pane.image].source;
      this.zoom(Math.exp(-event.deltaY / 400), [clamp(x / cols, 0, 1), clamp(y / rows, 0, 1)]);
    }, { passive: false });
    this.panes[at] = pane;
    return pane;
  }

  /** A pointer in source pixels. */
  place(pane, event) {
    const box = pane.canvas.getBoundingClientRect(), { sx, sy, tx, ty } = pane.fit;
    const ratio = pane.canvas.width / box.width;
    const x = ((event.clientX - box.left) * ratio - tx) / sx, y = ((event.clientY - box.top) * ratio - ty) / sy;
    return { image: pane.image, x, y };
  }

  moved(pane, event) {
    if (this.grab) return;
    this.spot = this.place(pane, event);
    this.refresh();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const found = this.spot && this.lookup();
      if (!found?.spot) return;
      const [[at]] = found.weights, { cols } = found.map;
      this.set({ hovered_patch: [found.spot.image, Math.floor(at / cols), at % cols] });
    }, 150);
  }

  grabbed(pane, event) {
    if (event.button > 2) return;
    const { state } = this;
    const tool = event.button === 2 ? "window" : event.shiftKey ? "box" : state.tool;
    const from = this.place(pane, event), start = { ...state, x: event.clientX, y: event.clientY };
    const size = pane.canvas.getBoundingClientRect(), [x, y, k] = state.view;
    this.grab = tool;
    let far = false;
    pane.canvas.setPointerCapture(event.pointerId);
    const drag = (now) => {
      const dx = now.clientX - start.x, dy = now.clientY - start.y;
      far ||= Math.hypot(dx, dy) > 3;
      if (!far) return;
      if (tool === "box") this.stretch(from, this.place(pane, now));
      else if (tool === "window") this.set({ window: clamp(start.window + dx / 300, 0.01, 1), level: clamp(start.level + dy / 300, 0, 1) });
      else this.set({ view: [inside(x - dx / size.width / k, k), inside(y - dy / size.height / k, k), k] });
    };
    const done = new AbortController(), { signal } = done;
    const drop = () => {
      this.grab = null;
      done.abort();
      if (!far && event.button === 0) this.keep(from);
      else if (tool === "box" && this.drawing) {
        const box = this.drawing;
        this.drawing = this.spot = this.kept = null;
        this.set({ rois: [box] });
      }
    };
    pane.canvas.addEventListener("pointermove", drag, { signal });
    for (const end of ["pointerup", "pointercancel"]) pane.canvas.addEventListener(end, drop, { signal });
  }

  stretch(a, b) {
    const [rows, cols] = this.record.images[a.image].source;
    this.drawing = {
      image: a.image,
      x0: clamp(Math.min(a.x, b.x), 0, cols), x1: clamp(Math.max(a.x, b.x), 0, cols),
      y0: clamp(Math.min(a.y, b.y), 0, rows), y1: clamp(Math.max(a.y, b.y), 0, rows),
    };
    this.spot = null;
    this.refresh();
  }

  refresh() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
      this.root.dataset.drawn = `${this.state.method}|${this.chosen.tokens.join(",")}|${this.state.layer}|${this.state.head}`;
      this.root.dataset.seq = ++this.seq;
    });
  }

  draw() {
    const wanted = this.wanted().map((one) => this.prepared(one));
    this.share(wanted);
    for (const one of wanted) if (one.of) this.subtract(one, wanted);
    wanted.forEach((one, at) => Object.assign(this.pane(at), one));
    this.panes.length = wanted.length;
    const nodes = this.panes.map((pane) => pane.node);
    if (!same([...this.stage.children], nodes)) this.stage.replaceChildren(...nodes);
    this.stage.dataset.panes = nodes.length;
    const found = this.lookup();
    for (const pane of this.panes) this.paint(pane, found);
    this.mark(found);
    this.tell(found);
    this.sync();
  }

  /** The values of a pane: [map, values] for each grid on its image, or the reason why there are none. */
  prepared(one) {
    const plain = { sources: [], name: null, unitText: null, difference: false, why: "", scaled: null };
    if (one.of) return { ...one, ...plain, layers: [], values: [], hidden: [], known: null, chosen: null };
    const { norm, sinks } = this.state, layers = [], values = [], hidden = [];
    let why = "";
    for (const map of this.drawn(one.method, one.image)) {
      const maps = this.valuesOf(map);
      if (typeof maps === "string") { why = maps; continue; }
      let found = combined(map, maps, one.chosen);
      if (!found) { why = `Not measured for ${one.chosen.label}.`; continue; }
      const sunk = sinks ? sinksOf(map, maps) : new Set();
      if (sunk.size) found = found.map((value, at) => (sunk.has(at) ? NaN : value));
      if (norm === "mass") {
        const total = found.reduce((sum, value) => sum + (Math.abs(value) || 0), 0) || 1;
        found = found.map((value) => value / total);
      }
      if (norm === "shared" && map.reduce[0] === "sum") {
        const count = entries(map, one.chosen).length;
        if (count > 1) found = found.map((value) => value / count);
      }
      layers.push(map); values.push(found); hidden.push(sunk);
    }
    const known = this.record.maps.find((map) => map.method === one.method);
    if (!layers.length && !why) why = known ? `${known.name} has no map of this image.` : "Not measured.";
    return { ...one, ...plain, of: null, layers, values, hidden, why, known };
  }

  /** One scale for the maps of one method and the same words, on all images and tiles. */
  share(wanted) {
    const { norm } = this.state;
    for (const one of wanted) {
      if (one.of || !one.layers.length || one.scaled) continue;
      const family = wanted.filter((two) => !two.of && two.layers.length && two.method === one.method
        && (norm === "shared" || two.chosen === one.chosen || same(two.chosen.tokens, one.chosen.tokens)));
      const arrays = family.flatMap((two) => two.values);
      const scale = flat(arrays) ? null : norm === "shared"
        ? this.sharedScale(family) : scaleOver(arrays, one.known.signed, norm !== "each");
      for (const two of family) two.scaled = scale;
    }
    for (const one of wanted) if (!one.of && flat(one.values)) one.scaled = null;
  }

  sharedScale(family) {
    const { layer, head, sinks } = this.state;
    const found = [...new Set(family.flatMap((one) => one.layers))];
    const key = [layer, head, sinks, ...found.map((map) => this.record.maps.indexOf(map))].join();
    if (this.sharedScales.has(key)) return this.sharedScales.get(key);
    const arrays = found.flatMap((map) => {
      const maps = this.valuesOf(map);
      const alone = map.alone.length ? map.alone.map((at) => maps[at]) : maps;
      const sunk = sinks ? sinksOf(map, maps) : new Set();
      return sunk.size ? alone.map((values) => values.map((v, i) => (sunk.has(i) ? NaN : v))) : alone;
    });
    this.sharedScales.set(key, scaleOver(arrays, family[0].known.signed, true));
    return this.sharedScales.get(key);
  }

  /** First pane minus second, in their unit where it is the same, else in positions on their scales. */
  subtract(one, wanted) {
    const [a, b] = one.of.map((at) => wanted[at]);
    const alike = a?.method === b?.method;
    if (!a?.scaled || !b?.scaled) { one.why = "No difference: one of the two shows no evidence."; one.of = null; return; }
    const fine = a.layers[0].count >= b.layers[0].count ? a : b;
    const reading = (v, { scaled }) => alike ? v : scaled.signed ? 2 * position(v, scaled) - 1 : position(v, scaled);
    const at = (pane, x, y) => {
      for (let i = pane.layers.length - 1; i >= 0; i--) {
        const [found] = this.cellAt(pane.layers[i], { x, y });
        if (found) return reading(pane.values[i][found[0]], pane);
      }
      return NaN;
    };
    const values = fine.layers.map((map) => Float32Array.from({ length: map.count }, (_, i) => {
      const { x, y } = middle(map, Math.floor(i / map.cols), i % map.cols);
      return at(a, x, y) - at(b, x, y);
    }));
    const name = (pane) => (alike ? pane.chosen.label : pane.known.name);
    const unit = alike ? (this.state.norm === "mass" ? "share of the map’s total" : a.known.unit) : "difference of positions on the two scales";
    Object.assign(one, {
      sources: [a.known, b.known], layers: fine.layers, values, hidden: fine.layers.map(() => new Set()), scaled: scaleOver(values, true, true),
      name: `${name(a)} − ${name(b)}`, unitText: unit, difference: true, known: { ...a.known, signed: true }, chosen: a.chosen,
    });
  }

  base(image) {
    const { window: width, level, invert } = this.state;
    const key = `${image}/${width}/${level}/${invert}`;
    if (this.bases.get(image)?.key === key) return this.bases.get(image).canvas;
    const { bitmap } = this.record.images[image];
    const held = this.bases.get(image) ?? { canvas: h("canvas") };
    if (!held.pixels) {
      held.canvas.width = bitmap.width;
      held.canvas.height = bitmap.height;
      const context = held.canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(bitmap, 0, 0);
      held.pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    }
    const curve = new Uint8ClampedArray(256);
    for (let i = 0; i < 256; i++) {
      const value = 255 * clamp((i / 255 - (level - width / 2)) / width, 0, 1);
      curve[i] = invert ? 255 - value : value;
    }
    const data = new ImageData(bitmap.width, bitmap.height);
    for (let i = 0; i < data.data.length; i += 4) {
      for (let c = 0; c < 3; c++) data.data[i + c] = curve[held.pixels[i + c]];
      data.data[i + 3] = 255;
    }
    held.canvas.getContext("2d").putImageData(data, 0, 0);
    this.bases.set(image, { ...held, key });
    return held.canvas;
  }

  colours({ scaled }) {
    const names = this.record.kinds[+scaled.signed], { cmap } = this.state;
    return this.record.colours[names.includes(cmap) ? cmap : names[0]];
  }

  /** How the image lies in a pane: device pixels per source pixel, and where its corner is. */
  fitted(pane) {
    const image = this.record.images[pane.image], [rows, cols] = image.source;
    const [tall, wide] = [rows * image.aspect[0], cols * image.aspect[1]];
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const room = pane.canvas.parentElement.clientWidth || 480;
    const most = clamp(window.innerHeight * 0.64, 280, 620);
    const scale = Math.min(room / wide, most / tall);
    const width = Math.max(1, Math.round(wide * scale * ratio)), height = Math.max(1, Math.round(tall * scale * ratio));
    if (pane.canvas.width !== width || pane.canvas.height !== height) {
      Object.assign(pane.canvas, { width, height });
      pane.canvas.style.width = `${width / ratio}px`;
      pane.canvas.style.height = `${height / ratio}px`;
    }
    const [cx, cy, k] = this.state.view;
    const sx = (width / cols) * k, sy = (height / rows) * k;
    return { sx, sy, tx: width / 2 - cx * cols * sx, ty: height / 2 - cy * rows * sy, ratio };
  }

  paint(pane, found) {
    const { canvas } = pane, image = this.record.images[pane.image], [rows, cols] = image.source;
    pane.fit = this.fitted(pane);
    const { sx, sy, tx, ty, ratio } = pane.fit;
    const context = canvas.getContext("2d", { alpha: false });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = (sx * cols) / image.bitmap.width < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.base(pane.image), tx, ty, cols * sx, rows * sy);
    context.save();
    context.beginPath();
    context.rect(tx, ty, cols * sx, rows * sy);
    context.clip();
    if (pane.scaled && this.state.fill) pane.layers.forEach((map, at) => this.overlay(context, pane, map, pane.values[at]));
    if (pane.layers.length) this.hatch(context, pane);
    if (pane.scaled && this.state.contour) pane.layers.forEach((map, at) => this.outline(context, pane, map, pane.values[at]));
    pane.layers.forEach((map, at) => this.crosses(context, pane, map, pane.hidden[at]));
    this.outlines(context, pane);
    this.places(context, pane, found, ratio);
    context.restore();
    this.caption(pane);
  }

  rect(pane, map, x, y, width, height) {
    const { sx, sy, tx, ty } = pane.fit;
    return [(map.left + x * map.dx) * sx + tx, (map.top + y * map.dy) * sy + ty, width * map.dx * sx, height * map.dy * sy];
  }

  overlay(context, pane, map, values) {
    const { smooth, opacity, threshold } = this.state, { scaled } = pane;
    const factor = smooth ? clamp(Math.floor(512 / Math.max(map.rows, map.cols)), 1, 32) : 1;
    const cells = factor > 1 ? finer(values, map.rows, map.cols, factor) : values;
    const width = map.cols * factor, height = map.rows * factor;
    const data = new ImageData(width, height), pixels = data.data, colours = this.colours(pane);
    for (let i = 0; i < cells.length; i++) {
      const value = cells[i];
      if (value !== value) continue;
      const at = position(value, scaled), strong = scaled.signed ? Math.abs(2 * at - 1) : at;
      if (strong < threshold) continue;
      const entry = 3 * Math.min(255, Math.floor(at * 256));
      pixels[4 * i] = colours[entry];
      pixels[4 * i + 1] = colours[entry + 1];
      pixels[4 * i + 2] = colours[entry + 2];
      pixels[4 * i + 3] = Math.round(255 * opacity * strong);
    }
    this.scratch.width = width;
    this.scratch.height = height;
    this.scratch.getContext("2d").putImageData(data, 0, 0);
    context.imageSmoothingEnabled = smooth;
    context.drawImage(this.scratch, ...this.rect(pane, map, 0, 0, map.cols, map.rows));
  }

  /** Thin grey lines where no cell lies: "not seen" must not read as "nothing found". */
  hatch(context, pane) {
    const { canvas, fit } = pane;
    const seen = new Path2D();
    for (const map of pane.layers) {
      for (const [row, from, to] of this.runs(map)) seen.rect(...this.rect(pane, map, from, row, to - from, 1));
    }
    const mask = this.mask ??= h("canvas");
    Object.assign(mask, { width: canvas.width, height: canvas.height });
    const lines = mask.getContext("2d");
    const period = 9 * fit.ratio;
    lines.strokeStyle = "rgba(150,150,150,.6)";
    lines.lineWidth = fit.ratio;
    lines.beginPath();
    for (let x = -canvas.height; x < canvas.width; x += period) { lines.moveTo(x, canvas.height); lines.lineTo(x + canvas.height, 0); }
    lines.stroke();
    lines.globalCompositeOperation = "destination-out";
    lines.fill(seen);
    context.drawImage(mask, 0, 0);
  }

  /** Runs [row, from, to) of cells that hold a value. */
  runs(map) {
    if (map.runs) return map.runs;
    map.runs = [];
    for (let row = 0; row < map.rows; row++) {
      let from = -1;
      for (let col = 0; col <= map.cols; col++) {
        const holds = col < map.cols && map.cells[row * map.cols + col] !== 255;
        if (holds && from < 0) from = col;
        if (!holds && from >= 0) { map.runs.push([row, from, col]); from = -1; }
      }
    }
    return map.runs;
  }

  outline(context, pane, map, values) {
    if (Math.max(map.rows, map.cols) > MOST_OUTLINED) return;
    const { scaled } = pane, level = this.level, { ratio } = pane.fit;
    for (const side of scaled.signed ? [1, -1] : [1]) {
      const strong = values.map((v) => (v !== v ? NaN : scaled.signed ? Math.max(0, side * (2 * position(v, scaled) - 1)) : position(v, scaled)));
      const factor = this.state.smooth ? 4 : 1, rows = map.rows * factor, cols = map.cols * factor;
      const lines = factor > 1 ? isolines(finer(strong, map.rows, map.cols, factor), rows, cols, level)
        : edges(Array.from(strong, (v) => v >= level), rows, cols);
      const path = new Path2D();
      for (const line of lines) {
        const [x0, y0, x1, y1] = line.map((end) => end / factor);
        const [left, top] = this.rect(pane, map, x0, y0, 0, 0), [right, bottom] = this.rect(pane, map, x1, y1, 0, 0);
        path.moveTo(left, top);
        path.lineTo(right, bottom);
      }
      context.setLineDash(side < 0 ? [4 * ratio, 4 * ratio] : []);
      this.stroke(context, path, ratio, 1.4);
      context.setLineDash([]);
    }
  }

  /** White on a dark halo, to be seen on lung and on bone. */
  stroke(context, path, ratio, width, colour = "#fff") {
    context.lineCap = "square";
    context.strokeStyle = "rgba(0,0,0,.55)";
    context.lineWidth = (width + 1.4) * ratio;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.stroke(path);
  }

  /** Keep the panes as they are shown, with their captions and scales, as one image. */
  save() {
    const { ratio } = this.panes[0].fit, gap = 12 * ratio, line = 16 * ratio, style = getComputedStyle(this.root);
    const panes = [this, ...this.peers].flatMap((one) => one.panes.map((pane) => ({ ...pane, by: one.record.name, cut: one.record.cut })));
    const wide = Math.max(...panes.map(({ canvas }) => canvas.width)), tall = Math.max(...panes.map(({ canvas }) => canvas.height));
    const sheet = h("canvas"), context = sheet.getContext("2d"), font = `${12 * ratio}px ${style.fontFamily}`;
    const texts = panes.map(({ by, cut, title, undone, detail, low, high, unit, rule, none, scaled }) => {
      const scale = `${low.textContent} to ${high.textContent} ${unit.textContent}; ${rule.textContent}`;
      const answer = cut && `the answer is ${cut}`;
      const said = `${by} · ${title.textContent} · ${undone.textContent} · ${answer} · ${detail.textContent} · ${scaled ? scale : none.textContent}`;
      return said.split(/ · |; /).filter(Boolean);
    });
    sheet.width = (wide + gap) * panes.length + gap;
    sheet.height = tall + 3 * gap + line * Math.max(...texts.map((lines) => lines.length));
    context.fillStyle = style.getPropertyValue("--gv-ground");
    context.fillRect(0, 0, sheet.width, sheet.height);
    Object.assign(context, { font, fillStyle: style.color, textBaseline: "top" });
    panes.forEach((pane, at) => {
      const x = gap + at * (wide + gap);
      context.drawImage(pane.canvas, x, gap);
      if (pane.scaled) context.drawImage(pane.bar, x, tall + 1.5 * gap, wide, gap / 2);
      texts[at].forEach((text, row) => context.fillText(text, x, tall + 2.4 * gap + row * line, wide));
    });
    h("a", { download: "groundviz.png", href: sheet.toDataURL("image/png") }).click();
  }

  get level() {
    return Math.max(0.5, this.state.threshold);
  }

  crosses(context, pane, map, hidden) {
    if (!hidden.size) return;
    const path = new Path2D();
    for (const at of hidden) {
      const [x, y, w, v] = this.rect(pane, map, (at % map.cols) + 0.25, Math.floor(at / map.cols) + 0.25, 0.5, 0.5);
      path.moveTo(x, y); path.lineTo(x + w, y + v); path.moveTo(x + w, y); path.lineTo(x, y + v);
    }
    this.stroke(context, path, pane.fit.ratio, 1, "#bbb");
  }

  /** What is known from elsewhere, dotted; whole where it is looked up. */
  outlines(context, pane) {
    const { sx, sy, tx, ty, ratio } = pane.fit;
    this.record.known.forEach((known, at) => {
      if (known.image !== pane.image) return;
      const path = new Path2D();
      for (const line of known.lines) {
        line.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x * sx + tx, y * sy + ty));
      }
      context.setLineDash(at === this.state.known ? [] : [2 * ratio, 3 * ratio]);
      this.stroke(context, path, ratio, 1.4, "#7dffb0");
      context.setLineDash([]);
    });
  }

  /** The cell looked up, and the box. */
  places(context, pane, found, ratio) {
    const path = new Path2D();
    if (found?.spot && found.spot.image === pane.image && pane.layers.length) {
      const [[at]] = found.weights;
      path.rect(...this.rect(pane, found.map, at % found.map.cols, Math.floor(at / found.map.cols), 1, 1));
    }
    const { box } = this;
    if (box && box.image === pane.image) {
      const { sx, sy, tx, ty } = pane.fit;
      path.rect(box.x0 * sx + tx, box.y0 * sy + ty, (box.x1 - box.x0) * sx, (box.y1 - box.y0) * sy);
    }
    this.stroke(context, path, ratio, 1.6, "#6fd3ff");
  }

  aggregation(map) {
    const { layer, head } = this.state, parts = [];
    const one = layerAt(map, layer) >= 0;
    if (one) parts.push(`layer ${layer}`);
    if (head >= 0 && headsOf(map) > 1) parts.push(`head ${head}`);
    const over = [];
    if (!one && map.measured[0] > 1) over.push(["layers", map.reduce[1]]);
    if ((head < 0 || headsOf(map) === 1) && headsOf(map) > 1) over.push(["heads", map.reduce[2]]);
    if (over.length === 2 && over[0][1] === over[1][1]) parts.push(`${over[0][1]} over layers and heads`);
    else for (const [axis, how] of over) parts.push(`${how} over ${axis}`);
    if (layer >= 0 && !one) parts.push("not by layer");
    return parts.join(", ");
  }

  caption(pane) {
    const { known, chosen, scaled, why } = pane, { norm } = this.state;
    const places = this.record.images.length > 1 ? this.record.images[pane.image].name : "";
    const label = pane.layers.length === 1 ? pane.layers[0].label : "";
    told(pane.title, pane.name ?? known?.name ?? pane.method ?? "Difference");
    const details = pane.difference ? [places]
      : [`${chosen?.label ?? ""}${pane.pinned ? " pinned" : ""}`, places, label, known?.claim, known ? this.aggregation(known) : "",
        this.error(pane.layers[0], chosen)];
    const of = pane.difference ? pane.sources : [known];
    const undone = [...new Set(of.map((map) => map?.interrupted))].filter(Boolean);
    told(pane.undone, undone.length ? `interrupted: ${undone.join("; ")}` : "");
    pane.undone.hidden = !undone.length;
    told(pane.detail, details.filter(Boolean).join(" · "));
    told(pane.none, why || "no evidence: every cell holds the same value");
    pane.none.hidden = scaled;
    pane.scale.hidden = !scaled;
    let says = `${[pane.title, pane.undone, pane.detail].map((node) => node.textContent).filter(Boolean).join(", ")}. `;
    if (scaled) {
      const perToken = norm === "shared" && known.reduce[0] === "sum" && chosen.tokens.length > 1 ? " per token" : "";
      this.bar(pane);
      told(pane.low, (scaled.clipped && scaled.signed ? "≤ " : "") + number(scaled.low));
      told(pane.high, (scaled.clipped ? "≥ " : "") + number(scaled.high));
      told(pane.unit, pane.unitText ?? (norm === "mass" ? "share of the map’s total" : known.unit + perToken));
      const top = scaled.clipped ? "99th percentile" : "highest value";
      const rule = scaled.signed ? `± ${top} of the magnitude` : `lowest value to ${top}`;
      const over = norm === "shared" && !pane.difference ? " of all tokens’ maps" : "";
      const hidden = pane.hidden.reduce((total, set) => total + set.size, 0);
      told(pane.rule, `${rule}${over}${hidden ? `; ${hidden} sink cell${hidden > 1 ? "s" : ""} hidden` : ""}`);
      const { map, at, value } = this.strongest(pane);
      says += `Strongest at ${cellName(map, at)}: about ${number(value)}.`;
    } else says += pane.none.textContent;
    pane.canvas.setAttribute("aria-label", says);
  }

  strongest(pane) {
    let best = { value: 0 };
    pane.layers.forEach((map, i) => pane.values[i].forEach((value, at) => {
      if (Math.abs(value) >= Math.abs(best.value)) best = { map, at, value };
    }));
    return best;
  }

  bar(pane) {
    const context = pane.bar.getContext("2d"), data = new ImageData(256, 1), colours = this.colours(pane);
    for (let i = 0; i < 256; i++) {
      data.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
    }
    context.putImageData(data, 0, 0);
  }

  /** Tokens: which are chosen, and how much each looked at the place under the pointer. */
  mark(found) {
    const { tokens } = this.chosen, named = this.hover === null && !this.state.selected.length;
    let most = 0;
    if (found) for (const value of found.values.values()) most = Math.max(most, Math.abs(value));
    this.chips.forEach((chip, at) => {
      chip.setAttribute("aria-selected", tokens.includes(at));
      chip.classList.toggle("gv-part", named);
      chip.classList.toggle("gv-hover", this.hover === at);
      const value = found?.values.get(at);
      chip.classList.toggle("gv-shaded", value !== undefined);
      chip.classList.toggle("gv-against", value < 0);
      chip.style.setProperty("--gv", value === undefined || !most ? 0 : (Math.abs(value) / most).toFixed(3));
    });
  }

  tell(found) {
    const said = found && this.looked(found);
    told(this.readout, said || (this.quiet ? "" : this.legend()));
    clearTimeout(this.saying);
    this.saying = setTimeout(() => told(this.live, said || (this.panes[0]?.canvas.getAttribute("aria-label") ?? "")), 500);
  }

  looked({ map, weights, values, spot, known, size, shown, value }) {
    const best = [...values].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))[0];
    const most = best ? ` Strongest here: “${this.token(best[0]).text}”, about ${number(best[1])}.` : "";
    const at = weights[0][0];
    const tile = map.label ? ` of ${map.label}` : "";
    if (spot) {
      return `At ${cellName(map, at)}${tile}: ${this.chosen.label} about ${number(value)} ${map.unit}.${most}`;
    }
    const total = shown?.reduce((sum, v) => sum + (Math.abs(v) || 0), 0);
    const inside = shown && weights.reduce((sum, [cell, weight]) => sum + Math.abs(shown[cell]) * weight, 0);
    const held = this.runs(map).reduce((sum, [, from, to]) => sum + to - from, 0);
    const mass = total ? ` holds ${percent(inside / total)} of the map of ${this.chosen.label}` : "";
    const against = known ? this.against(map, weights, size) : "";
    return `${known?.name ?? "Box"}${tile}:${mass} on ${percent(size / held)} of its cells.${against}${most}`;
  }

  /** How the first pane's map stands to a known outline: where its strongest cell lies, and what the outlines share. */
  against(map, weights, size) {
    const pane = this.panes[0], values = pane.values[pane.layers.indexOf(map)];
    if (!pane.scaled || !values) return "";
    const inside = new Map(weights), best = this.strongest(pane);
    const strong = [...values.keys()].filter((at) => position(values[at], pane.scaled) >= this.level);
    const shared = strong.reduce((sum, at) => sum + (inside.get(at) ?? 0), 0);
    const lies = best.map === map && inside.get(best.at) >= 0.5 ? "inside" : "outside";
    return ` Its strongest cell is ${lies}; intersection over union with the outlined cells ${number(shared / (strong.length + size - shared), 2)}.`;
  }

  legend() {
    const { opacity, fill, contour } = this.state;
    const parts = [], scale = this.panes[0]?.scaled;
    if (fill) parts.push(`Opacity rises from 0 at ${scale?.signed ? "zero" : "the low end"} to ${percent(opacity)}.`);
    if (contour) parts.push(`Outlined: ${percent(this.level)} of the scale or more${this.panes.some(({ scaled }) => scaled?.signed) ? ", dashed where negative" : ""}.`);
    if (this.record.known.length) parts.push("Dotted: reference.");
    parts.push("Hatched: not covered by this map.");
    if (this.panes.some((pane) => pane.known?.claim)) parts.push(this.record.says);
    return parts.join(" ");
  }

  sync() {
    const { state } = this, undone = this.undone();
    this.beware.hidden = !undone.length;
    if (!same([...this.beware.children].map((line) => line.textContent), undone)) {
      this.beware.replaceChildren(...undone.map((line) => h("li", {}, line)));
    }
    for (const follow of this.follows) follow();
    this.parts.forEach((button, at) => button.setAttribute("aria-pressed", !state.selected.length && at === state.part));
    this.root.dataset.tool = state.tool;
  }
}

// ---- a page without a kernel

class PageModel {
  constructor(values) { this.values = values; }
  get(name) { return this.values[name]; }
  set(name, value) { this.values[name] = value; }
  on() {}
  off() {}
  save_changes() {}
}

/** Upgrade every static image of this page that stands with its payload. */
function upgrade() {
  for (const place of document.querySelectorAll("[data-gv]:not([data-up])")) {
    place.setAttribute("data-up", "");
    upgraded(place).catch((error) => console.error("groundviz: the static images stay.", error));
  }
}

async function upgraded(place) {
  const name = place.dataset.gv, whole = place.closest(".groundviz") ?? place;
  if (name) {
    // The live widget that this stands in for may come late; a saved notebook has none.
    const live = () => document.querySelector(`.gv-root[data-live="${CSS.escape(name)}"]`);
    // What JupyterLab shows in place of a widget whose kernel is gone.
    const before = whole.closest(".jp-OutputArea-child")?.previousElementSibling;
    const give = () => {
      whole.hidden = live();
      if (before) before.style.display = before.querySelector(".gv-root") ? "" : "none";
    };
    document.addEventListener("groundviz", give);
    whole.hidden = true;
    await new Promise((later) => setTimeout(later, live() ? 0 : 2500));
    give();
    if (live()) return;
  }
  const bytes = fromBase64(place.querySelector("[data-gv-pack]").textContent);
  const el = h("div");
  await render({ model: new PageModel({ _pack: new DataView(bytes.buffer) }), el });
  place.replaceChildren(el);
}

export default { render };
