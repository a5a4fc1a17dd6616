/** What stands around the panes: the question, the answer, the keys. */

import { button, element, setText } from "./element.js";
import { evidenceOf, followEvidence } from "./evidence.js";
import { KEYS, keyed } from "./keyboard.js";

const labelled = (text, more = {}) => element("span", { class: "gv-label", ...more }, text);

/** Make a viewer's part of the page. Its controls are beside it, or shared with others. */
export function buildRoot(viewer) {
  viewer.stage = element("div", { class: "gv-stage" });
  viewer.readout = element("p", { class: "gv-readout" });
  viewer.live = element("p", { class: "gv-sr", "aria-live": "polite" });
  viewer.beware = element("ul", { class: "gv-beware", "aria-label": "Beware" });
  viewer.sheet = element("details", { class: "gv-keys" },
    element("summary", {}, "Keys and gestures"),
    element("dl", {}, ...KEYS.flatMap(([key, does]) => [element("dt", {}, key), element("dd", {}, does)])));
  viewer.body = element("div", { class: "gv-body" }, element("div", {}, viewer.stage, viewer.readout));
  viewer.root = element("section", {
    class: "gv-root", "data-live": viewer.model.get("_live"), "aria-label": "groundviz viewer",
    "data-jp-suppress-context-menu": "true", onkeydown: (event) => keyed(viewer, event),
  }, head(viewer), viewer.body, viewer.live);
}

/** The viewer with controls of its own. */
export function withControls(viewer) {
  viewer.body.append(viewer.panel);
  viewer.live.before(viewer.sheet);
  return viewer.root;
}

function head(viewer) {
  const { record, words } = viewer;
  const label = record.label ? ` · ${record.label}` : "";
  const name = record.name ? element("p", { class: "gv-name" }, record.name, label) : null;
  const before = record.before.map((one) => element("p", { class: "gv-special" }, one));
  const question = element("div", {}, labelled("Question"), words.question, ...before);
  return element("div", { class: "gv-head" },
    name, evidenceOf(viewer), question, answerOf(viewer), viewer.beware, partsOf(viewer));
}

function answerOf({ record, words }) {
  const given = record.source === "generated" ? "" : " given to the model";
  const label = labelled(`Answer${given} · probability ${record.sure} · point at a word`);
  // Apart from the tokens, which are the model's own: this sign is ours.
  const cut = record.cut ? element("p", { class: "gv-warn" }, record.cut) : null;
  return element("div", { class: "gv-answer" }, label, words.answer, cut);
}

/** The named parts of the answer, where there are several. */
function partsOf(viewer) {
  const { record } = viewer;
  viewer.parts = record.parts.map((part, at) =>
    button(part.text, () => viewer.set({ part: at, selected: [] }), { title: part.text }));
  if (viewer.parts.length < 2) return null;
  const names = { class: "gv-parts", role: "group", "aria-label": "Parts of the answer" };
  return element("div", names, ...viewer.parts);
}

/** Bring up to date what is known and not whole, which part is chosen, and the tool. */
export function followState(viewer) {
  const { beware, record, state } = viewer;
  const lines = [...new Set([...record.maps.map((map) => map.shortfall), ...record.missing])].filter(Boolean);
  while (beware.children.length > lines.length) beware.lastChild.remove();
  while (beware.children.length < lines.length) beware.append(element("li"));
  lines.forEach((line, at) => setText(beware.children[at], line));
  beware.hidden = !lines.length;
  viewer.parts.forEach((part, at) =>
    part.setAttribute("aria-pressed", !state.selected.length && at === state.part));
  viewer.root.dataset.tool = state.tool;
  followEvidence(viewer);
}
