/** What is asked in each stage of a trial, and how it is answered. */

import { button, element } from "../../viewer/static/page/element.js";

export const TITLES = {
  compare: "Which map shows the finding better?",
  mark: "Mark the finding before you see the map",
  rate: "How good is this map?",
  answer: "Is the model's answer right?",
  done: "All trials are done. Thank you.",
};

export const HELP = {
  compare: "Both maps belong to the same image and answer. Turn the wheel to enlarge; h hides the maps; "
    + "a, b, t and x answer.",
  mark: "Draw a box around it. If you see no such finding, say so.",
  rate: "Judge where the map is strong, not how it is coloured. Turn the wheel to enlarge; h hides the map.",
  answer: "No map is shown here.",
  done: "Every response is written. You can close this.",
};

const CHOICES = [
  ["A", "A is better", "a"],
  ["B", "B is better", "b"],
  ["tie", "No difference", "t"],
  ["both_bad", "Both are bad", "x"],
];

const LIKERT = [
  [1, "1 · wrong region"],
  [2, "2 · near the finding"],
  [3, "3 · right region, wrong extent"],
  [4, "4 · most of the finding"],
  [5, "5 · the finding, fully and only"],
];

const CONFIDENCE = [
  [-2, "much less"],
  [-1, "less"],
  [0, "no change"],
  [1, "more"],
  [2, "much more"],
];

const MISLEADING = [
  [0, "no"],
  [1, "yes"],
];

const ANSWERS = [
  ["correct", "Correct", "1"],
  ["partly", "Partly correct", "2"],
  ["wrong", "Wrong", "3"],
  ["cannot_tell", "Cannot tell from this image", "4"],
];

/**
 * The questions of a stage.
 *
 * @param {string} stage
 * @param {object} board the images, on which boxes are drawn
 * @param {(reply: object) => void} reply
 * @returns {{nodes: Node[], keys: Object<string, () => void>}}
 */
export function ask(stage, board, reply) {
  board.changed = null;
  return { compare, mark, rate, answer, done: () => ({ nodes: [], keys: {} }) }[stage](board, reply);
}

function compare(board, reply) {
  const comment = remark();
  return choices(CHOICES, (response) => reply({ response, comment: comment.value() }), comment.node);
}

function answer(board, reply) {
  const comment = remark();
  return choices(ANSWERS, (response) => reply({ response, comment: comment.value() }), comment.node);
}

function choices(offered, chosen, ...more) {
  const buttons = offered.map(([response, title, key]) =>
    button(title, () => chosen(response), { "data-response": response, "aria-keyshortcuts": key }));
  const keys = Object.fromEntries(offered.map(([response, , key]) => [key, () => chosen(response)]));
  return { nodes: [element("div", { class: "gr-choices" }, ...buttons), ...more], keys };
}

function mark(board, reply) {
  const go = button("This is the finding", () => reply({ response: "mark", box: board.box }), { disabled: true });
  const none = button("I see no such finding", () => reply({ response: "nothing" }));
  board.changed = () => {
    go.disabled = !board.box;
  };
  return { nodes: [element("div", { class: "gr-choices" }, go, none)], keys: {} };
}

function rate(board, reply) {
  const rating = {
    board,
    scales: {
      likert_loc: scale("Where is the map strong?", LIKERT),
      delta_conf: scale("How does it change your confidence in the answer?", CONFIDENCE),
      misleading: scale("Is the map misleading?", MISLEADING),
    },
    hint: element("p", { class: "gr-help", hidden: true }, "You may draw a box around what misleads."),
  };
  const comment = remark();
  const send = () => reply({
    response: "rating", ...given(rating), box: misleads(rating) ? board.box : null, comment: comment.value(),
  });
  rating.go = button("Continue", send, { disabled: true });
  const sets = Object.values(rating.scales).map(({ node }) => node);
  for (const set of sets) set.addEventListener("change", () => followRating(rating));
  const last = element("div", { class: "gr-choices" }, rating.go);
  return { nodes: [...sets, rating.hint, comment.node, last], keys: {} };
}

function given({ scales }) {
  return Object.fromEntries(Object.entries(scales).map(([name, one]) => [name, one.value()]));
}

function misleads({ scales }) {
  return scales.misleading.value() === 1;
}

function followRating(rating) {
  const { board, hint, go } = rating;
  hint.hidden = !misleads(rating);
  // Dragging draws a box now, where it moved the image before.
  board.drawing = misleads(rating);
  if (!board.drawing && board.box) {
    board.box = null;
    board.draw();
  }
  go.disabled = Object.values(given(rating)).some((value) => value === null);
}

const counter = { group: 0 };

function scale(question, steps) {
  const name = `gr-${(counter.group += 1)}`;
  const inputs = steps.map(([value]) => element("input", { type: "radio", name, value }));
  const labels = steps.map(([, words], at) =>
    element("label", {}, inputs[at], element("span", { class: "gr-step" }, words)));
  const node = element("fieldset", { class: "gr-scale" }, element("legend", {}, question), ...labels);
  const value = () => {
    const chosen = inputs.find(({ checked }) => checked);
    return chosen ? Number(chosen.value) : null;
  };
  return { node, value };
}

function remark() {
  const text = element("textarea", { rows: 2, maxlength: 2000, "aria-label": "Comment (optional)" });
  text.setAttribute("data-lm-suppress-shortcuts", "true");
  const node = element("details", { class: "gr-remark" }, element("summary", {}, "Comment (optional)"), text);
  return { node, value: () => text.value };
}
