/** The controls beside the image. */

import { colourNames } from "../data/scale.js";
import { stackOf } from "../data/stacks.js";
import { reachOf, windowTexts } from "../data/window.js";
import { toggleFull, togglePanel } from "./arrange.js";
import { whyNoOutline } from "./canvas.js";
import { button, element, setText } from "./element.js";
import { sharing } from "./saving.js";
import { NORMS, TOOLS } from "./state.js";

/** Pixels of a window's width. */
const SMALL = 700;

/** Controls under a name, which fold away. On a small screen they are folded at first. */
const group = (name, ...children) =>
  element("details", { class: "gv-group", open: window.innerWidth > SMALL },
    element("summary", {}, name),
    element("div", { class: "gv-fields" }, ...children));
const row = (...children) => element("div", { class: "gv-row" }, ...children);

/** All controls, whose makers are `fields`. */
export function controls(viewer, fields) {
  const outline = fields.check("Outline", "contour");
  fields.updates.push(() => {
    const why = viewer.state.contour && whyNoOutline(viewer);
    setText(outline.lastChild, why ? `Outline (none: ${why})` : "Outline");
  });
  return element("div", { class: "gv-controls" },
    group("Map", ...methodControls(viewer, fields), ...mapControls(viewer, fields), ...measuring(viewer, fields)),
    group("Colours", ...colourControls(viewer, fields), 
      row(fields.check("Colour", "fill"), fields.check("Smooth", "smooth")), outline),
    group("Image", ...windowControls(viewer, fields), fields.check("Invert", "invert")),
    group("Share", ...sharing(viewer, fields)));
}

/** What stands over the images: what dragging does, and how much of the window they have. */
export function toolbar(viewer, fields) {
  const panel = button("Hide panel", () => togglePanel(viewer), { title: "Key: h" });
  fields.updates.push(() => setText(panel, viewer.whole.hasAttribute("data-alone") ? "Show panel" : "Hide panel"));
  return element("div", { class: "gv-toolbar" }, toolButtons(viewer, fields),
    element("div", { class: "gv-row" }, button("Reset view", () => viewer.reset(), { title: "Key: r" }),
      button("Full screen", () => toggleFull(viewer), { title: "Key: f" }), panel));
}

function methodControls(viewer, fields) {
  const { state, record } = viewer;
  const titleOf = (method) => record.maps.find((map) => map.method === method).name;
  const methods = () => viewer.methods.map((method) => [method, titleOf(method)]);
  const others = (method) => state.compare.filter((one) => one !== method);
  return [
    fields.select("Method", {
      options: methods,
      value: () => state.method,
      does: (method) => viewer.set({ method, layer: -1, head: -1, compare: others(method) }),
    }),
    fields.select("Beside it", {
      options: () => [["", "nothing"], ...methods()],
      value: () => state.compare[0] ?? "",
      does: (method) => viewer.set({
        compare: method ? [method] : [], difference: Boolean(method) && state.difference,
      }),
      shown: () => viewer.methods.length > 1,
    }),
    fields.check("Difference of the first two", "difference",
      () => viewer.panes.some((pane, at) => at && pane.image === viewer.panes[0].image)),
  ];
}

function mapControls(viewer, fields) {
  const { state, record } = viewer;
  const numbered = (list) => list.map((one, at) => [at, one.name]);
  const named = (index) => (index < 0 ? "all" : String(index));
  const tiles = () => viewer.maps.filter((map) => map.image === viewer.shownImages[0]);
  const tileNames = () => {
    const names = tiles().map((map, at) => [at, map.label || `tile ${at + 1}`]);
    if (names.length > 2) names.push([-1, "all tiles"]);
    return names;
  };
  return [
    fields.select("Image", {
      options: () => [[-1, "all"], ...record.stacks.map(({ images, name }) => [images[0], name])],
      value: () => stackOf(record, state.image)?.images[0] ?? -1,
      does: (at) => viewer.set({ image: +at }),
      shown: () => record.stacks.length > 1,
    }),
    fields.select("Tile", {
      options: tileNames,
      value: () => state.tile,
      does: (at) => viewer.set({ tile: +at }),
      shown: () => tiles().length > 1,
    }),
    fields.range("Layer", {
      low: () => -1, high: () => viewer.layers.length - 1,
      value: () => viewer.layers.indexOf(state.layer),
      text: () => named(state.layer),
      does: (at) => viewer.set({ layer: viewer.layers[at] ?? -1 }),
      shown: () => viewer.layers.length,
    }),
    fields.range("Head", {
      low: () => -1, high: () => viewer.heads - 1,
      value: () => state.head,
      text: () => named(state.head),
      does: (head) => viewer.set({ head }),
      // A page may hold no heads, and has no kernel to ask.
      shown: () => viewer.heads > 1 && (viewer.maps[0].shape[2] > 1 || viewer.model.send),
    }),
    wallButton(viewer, fields),
    fields.select("Reference", {
      options: () => [[-1, "none"], ...numbered(record.known)],
      value: () => state.known,
      does: (at) => viewer.set({ known: +at }),
      shown: () => record.known.length,
    }),
  ];
}

function wallButton({ wall }, fields) {
  const line = row(button("All layers and heads …", () => wall.open(), { title: "Key: l" }));
  fields.updates.push(() => line.toggleAttribute("hidden", !wall.offered));
  return line;
}

function colourControls(viewer, fields) {
  const { state, record } = viewer;
  const names = () => colourNames(record, viewer.maps[0]?.signed);
  return [
    fields.select("Scale", {
      options: () => Object.entries(NORMS),
      value: () => state.norm,
      does: (norm) => viewer.set({ norm }),
    }),
    fields.check("Hide sink cells", "sinks", () => viewer.maps[0]?.alone.length > 2,
      "Cells that are among the strongest for nearly every token"),
    fields.select("Colours", {
      options: () => names().map((name) => [name, name.replace("_r", "").replace("_", " ")]),
      value: () => (names().includes(state.cmap) ? state.cmap : names()[0]),
      does: (cmap) => viewer.set({ cmap }),
    }),
    fields.share("Opacity", "opacity", { step: 5 }),
    fields.share("Threshold", "threshold", { high: () => 95, step: 5 }),
  ];
}

function windowControls(viewer, fields) {
  const { state } = viewer;
  const near = (a, b) => Math.abs(a - b) < 1e-3;
  const preset = () => viewer.front.presets.findIndex(
    ([, level, width]) => near(level, state.level) && near(width, state.window));
  const texts = () => windowTexts(viewer.front, state);
  const reach = (end) => () => Math.round(100 * reachOf(viewer.front)[end]);
  return [
    fields.select("Window", {
      options: () => {
        const names = viewer.front.presets.map(([name], at) => [at, name]);
        return preset() < 0 ? [...names, [-1, "own"]] : names;
      },
      value: preset,
      does: (at) => {
        const [, level, window] = viewer.front.presets[at] ?? [];
        if (window) viewer.set({ level, window });
      },
    }),
    fields.share("Level", "level", { low: reach("low"), high: reach("high"), text: () => texts()[0] }),
    fields.share("Width", "window", { low: () => 1, high: reach("width"), text: () => texts()[1] }),
  ];
}

/** What dragging in the image does. */
function toolButtons(viewer, fields) {
  const names = Object.keys(TOOLS);
  const buttons = names.map((tool) => button(TOOLS[tool], () => viewer.set({ tool })));
  fields.updates.push(() => buttons.forEach((one, at) =>
    one.setAttribute("aria-pressed", names[at] === viewer.state.tool)));
  return element("div", { class: "gv-row", role: "group", "aria-label": "Dragging in the image" }, ...buttons);
}

/** What the kernel can measure still, how far it has come, and the last message of it. */
function measuring(viewer, fields) {
  const { model } = viewer;
  const offered = () => model.get("_more") ?? [];
  const free = () => offered().length && !(model.get("_busy") ?? {}).method;
  const wished = () => offered().find(({ name }) => name === viewer.wish);
  const more = fields.select("Also", {
    options: () => [["", "another method …"], ...offered().map(({ name, title }) => [name, title])],
    value: () => wished()?.name ?? "",
    does: (method) => {
      viewer.wish = method;
      viewer.refresh();
    },
    shown: free,
  });
  const cost = element("span");
  const measure = button("Measure", () => model.send({ need: "method", method: viewer.wish }));
  const ask = element("div", { class: "gv-busy" }, cost, measure);
  fields.updates.push(() => {
    ask.hidden = !free() || !wished();
    setText(cost, wished()?.cost ?? "");
  });
  return [more, ask, challengeOf(viewer, fields), progressOf(viewer, fields)];
}

/** Puts the maps to the test. */
function challengeOf({ model }, fields) {
  const challenge = button("", () => model.send({ need: "challenge" }));
  const line = row(challenge);
  fields.updates.push(() => {
    const { title = "", does, cost } = model.get("_challenge") ?? {};
    line.hidden = !title || Boolean((model.get("_busy") ?? {}).method);
    setText(challenge, title);
    challenge.title = `${does} ${cost}`;
  });
  return line;
}

function progressOf(viewer, fields) {
  const { model } = viewer;
  const line = element("span", { role: "status" });
  const progress = element("progress", { max: 1, "aria-label": "Progress" });
  const stop = button("Stop", () => model.send({ need: "stop" }));
  const busy = element("div", { class: "gv-busy" }, line, progress, stop);
  fields.updates.push(() => {
    const { method, done, total, says } = model.get("_busy") ?? {};
    busy.hidden = !method && !viewer.notice;
    progress.hidden = stop.hidden = !method;
    if (total) progress.value = done / total;
    else progress.removeAttribute("value");
    setText(line, says ?? viewer.notice ?? "");
  });
  return busy;
}
