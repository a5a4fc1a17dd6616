/** Whether the maps are to be believed: one line of words, and the numbers behind it. Python writes the words. */

import { element, setText } from "./element.js";

/** The line. What it does not say, and every check unfolded, stand elsewhere. */
export function evidenceOf(viewer) {
  viewer.facts = element("p", { class: "gv-facts" });
  viewer.verdict = element("p", { class: "gv-verdict" });
  viewer.checks = element("details", { class: "gv-keys gv-checks" });
  return viewer.facts;
}

/** What is known of the methods that are shown; of the answer alone where there are none. */
export function knownOf(record, methods) {
  const [answer, ...known] = record.evidence.known;
  const shown = known.filter(({ method }) => methods.includes(method));
  return shown.length ? shown : [answer];
}

/** What was asked and found, in pairs; where methods differ, each finding names those it is of. */
export function factsOf(known) {
  return known[0].facts.map(([asked], at) => [asked, together(known.map(({ name, facts }) => [name, facts[at][1]]))]);
}

function together(pairs) {
  const names = new Map();
  for (const [name, text] of pairs) names.set(text, [...(names.get(text) ?? []), name]);
  if (names.size === 1) return pairs[0][1];
  return [...names].map(([text, of]) => `${text} (${of.join(", ")})`).join(", ");
}

/** Follow the methods that are shown, and checks that came since. */
export function followEvidence({ checks, facts, panes, record, state, verdict }) {
  const { always } = record.evidence;
  const known = knownOf(record, panes.map((pane) => pane.method));
  const pairs = factsOf(known);
  // Maps were tested of what was explained, and a map of another part may be shown.
  const measured = known.some((one) => one.facts.at(-1)[1] !== record.evidence.known[0].facts.at(-1)[1]);
  if (measured && (state.selected.length || state.part)) pairs.at(-1)[1] += `, ${record.parts[0].label}`;
  // A screen reader that stands on the line is not to lose it.
  const key = JSON.stringify(pairs);
  if (facts.dataset.key !== key) {
    facts.dataset.key = key;
    facts.replaceChildren(...pairs.flatMap((pair, at) => (at ? [" ", factOf(pair, "· ")] : [factOf(pair, "")])));
  }
  // Verdicts that differ are too long for here: each stands with its method over the numbers.
  const alike = known.every((one) => one.verdict === known[0].verdict);
  setText(verdict, [alike ? known[0].verdict : "", always].filter(Boolean).join(" "));
  if (checks.shown !== record.evidence) {
    checks.shown = record.evidence;
    checks.replaceChildren(...unfolded(record.evidence));
    checks.hidden = !record.evidence.groups.length;
  }
}

function factOf([asked, found], dot) {
  return element("span", { class: "gv-fact" },
    element("i", {}, dot), element("span", {}, `${asked}: `), element("b", {}, found));
}

/** The verdict on each map, and every check: those of the answer and those of each map apart. */
function unfolded({ groups, head, more, verdicts }) {
  const cell = (text, at) => (at ? element("td", { "data-head": head[at] }, text)
    : element("th", { scope: "row" }, text));
  const row = (cells) => element("tr", {}, ...cells.map(cell));
  const bodies = groups.map(({ name, rows }) => element("tbody", {},
    element("tr", {}, element("th", { scope: "rowgroup", colspan: head.length }, name)), ...rows.map(row)));
  const names = element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)));
  const table = element("table", {}, element("thead", {}, names), ...bodies);
  // Where it is wider than the screen, keys move it, too.
  const room = element("div", { class: "gv-room", tabindex: 0, role: "group", "aria-label": more }, table);
  return [element("summary", {}, more), ...verdicts.map((text) => element("p", {}, text)), room];
}
