/** The named parts of an answer: a small image of each, its name, how sure the model was, and what is known of it. */

import { button, element, setText } from "./element.js";
import { knownOf } from "./evidence.js";
import { prepared } from "./panes.js";
import { drawSmall, fitSmall, groundOf } from "./small.js";

/** Pixels of a small image along its longer side. */
const THUMB = 96;
/** Of more parts, small images would take longer than what they show is worth. */
const MOST_THUMBS = 24;

/** Buttons for the named parts of the answer, or null where there is one. */
export function findingsOf(viewer) {
  const { parts } = viewer.record;
  viewer.parts = parts.map((part, at) => {
    const thumb = element("canvas", { class: "gv-thumb", width: THUMB, height: THUMB, "aria-hidden": "true" });
    const line = element("span", { class: "gv-part-line" });
    const one = button("", () => viewer.set({ part: at, selected: [] }), { title: part.text });
    one.append(thumb, element("span", { class: "gv-part-name" }, part.text), line);
    return Object.assign(one, { thumb, line });
  });
  if (parts.length < 2) return null;
  return element("div", { class: "gv-parts", role: "group", "aria-label": "Parts of the answer" }, ...viewer.parts);
}

/** Bring up to date which part is chosen, and what each shows. */
export function followFindings(viewer) {
  const { parts, record, state } = viewer;
  if (parts.length < 2) return;
  const [pane] = viewer.panes;
  const { cmap, head, layer, level, method, norm, opacity, sinks, tile, threshold, window: width, invert } = state;
  const seen = [level, width, invert, pane.image];
  const key = JSON.stringify([
    cmap, head, layer, method, norm, opacity, sinks, tile, threshold, pane.scaled?.top, ...seen,
  ]);
  // Not for every word that is pointed at.
  const changed = viewer.words.hover === null && viewer.thumbed !== key;
  if (changed) viewer.thumbed = key;
  const [asked, found] = knownOf(record, [method])[0].facts.at(-1);
  parts.forEach((one, at) => {
    one.setAttribute("aria-pressed", !state.selected.length && at === state.part);
    // Maps were tested of what was explained, which comes first.
    const { sure } = record.parts[at];
    const tested = `${asked}: ${at ? "not measured" : found}`;
    // A part of the question has no probability.
    setText(one.line, sure === null ? tested : `p ${sure} · ${tested}`);
    one.thumb.hidden = at >= MOST_THUMBS;
    if (changed && at < MOST_THUMBS) drawThumb(viewer, one.thumb, record.parts[at], pane);
  });
}

function drawThumb(viewer, thumb, chosen, { image, method, scaled }) {
  fitSmall(viewer, thumb, image, THUMB);
  const pane = scaled && method ? prepared(viewer, { method, image, chosen, pinned: false }) : { layers: [] };
  drawSmall(viewer, thumb, groundOf(viewer, image, THUMB), { ...pane, image, scaled });
}
