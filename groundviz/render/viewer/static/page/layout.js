/** What stands around the panes: the question, the answer, the keys. */

import { element, setText } from "./element.js";
import { evidenceOf, followEvidence } from "./evidence.js";
import { findingsOf, followFindings } from "./findings.js";
import { KEYS, keyed } from "./keyboard.js";

const labelled = (text, more = {}) => element("span", { class: "gv-label", ...more }, text);

/** Make a viewer's part of the page. Its controls are beside it, or shared with others. */
export function buildRoot(viewer) {
  viewer.stage = element("div", { class: "gv-stage" });
  viewer.readout = element("p", { class: "gv-readout" });
  viewer.legend = element("p", { class: "gv-legend" });
  viewer.live = element("p", { class: "gv-sr", "aria-live": "polite" });
  viewer.beware = element("ul", { class: "gv-beware", "aria-label": "Beware" });
  viewer.sheet = element("details", { class: "gv-keys" },
    element("summary", {}, "Keys and gestures"),
    element("dl", {}, ...KEYS.flatMap(([key, does]) => [element("dt", {}, key), element("dd", {}, does)])));
  viewer.head = head(viewer);
  viewer.root = element("section", {
    class: "gv-root", "data-live": viewer.model.get("_live"), "aria-label": "groundviz viewer",
    "data-jp-suppress-context-menu": "true", onkeydown: (event) => keyed(viewer, event),
  }, viewer.wall.node);
  viewer.whole = viewer.root;
}

/** The image, and beside it what it is about and the controls. */
export function withControls(viewer) {
  const { checks, head: about, legend, live, panel, readout, root, sheet, stage, toolbar } = viewer;
  const side = element("div", { class: "gv-panel" }, about, readout, panel, legend);
  root.append(element("div", { class: "gv-body" }, side, element("div", { class: "gv-images" }, toolbar, stage)),
    checks, sheet, live);
  return root;
}

/** A viewer that stands beside others, whose controls are elsewhere. */
function withoutControls({ checks, head: about, live, readout, root, stage, verdict }) {
  root.append(about, stage, readout, verdict, checks, live);
  return root;
}

/** Several viewers with the controls of one, which the others follow. */
export function sideBySide(viewers) {
  const [first] = viewers;
  const beside = element("div", { class: "gv-side-by-side" }, ...viewers.map(withoutControls));
  const controls = element("div", {
    class: "gv-panel", onkeydown: (event) => keyed(first, event),
  }, first.toolbar, first.panel, first.legend, first.sheet);
  const whole = element("div", { class: "gv-root" }, element("div", { class: "gv-body" }, controls, beside));
  for (const one of viewers) Object.assign(one, { whole, beside });
  return whole;
}

function head(viewer) {
  const { record, words } = viewer;
  const label = record.label ? ` · ${record.label}` : "";
  const name = record.name ? element("p", { class: "gv-name" }, record.name, label) : null;
  const before = record.before.map((one) => element("p", { class: "gv-special" }, one));
  const question = element("div", {}, labelled("Question"), words.question, ...before);
  return element("div", { class: "gv-head" },
    name, evidenceOf(viewer), question, answerOf(viewer), viewer.beware, findingsOf(viewer), viewer.verdict);
}

function answerOf({ fields, player, record, words }) {
  const given = record.source === "generated" ? "" : " given to the model";
  const label = labelled(`Answer${given} · probability ${record.sure} · point at a word`);
  // Apart from the tokens, which are the model's own: this sign is ours.
  const cut = record.cut ? element("p", { class: "gv-warn" }, record.cut) : null;
  return element("div", { class: "gv-answer" }, label, words.answer, cut, player.controls(fields));
}

/** Bring up to date what is known and not whole, the parts, and the tool. */
export function followState(viewer) {
  const { beware, record, state } = viewer;
  const lines = [...new Set([...record.maps.map((map) => map.shortfall), ...record.missing])].filter(Boolean);
  while (beware.children.length > lines.length) beware.lastChild.remove();
  while (beware.children.length < lines.length) beware.append(element("li"));
  lines.forEach((line, at) => setText(beware.children[at], line));
  beware.hidden = !lines.length;
  followFindings(viewer);
  viewer.root.dataset.tool = state.tool;
  viewer.root.toggleAttribute("data-near", state.view[2] > 1);
  followEvidence(viewer);
}
