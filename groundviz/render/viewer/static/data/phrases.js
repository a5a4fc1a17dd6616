/** Tokens chosen one by one, together, or as a phrase. Those of the question are numbered below zero. */

import { clamp, same } from "./numbers.js";

const inOrder = (tokens) => [...tokens].sort((a, b) => a - b);

/** What a click on a token leaves chosen. */
export const chosenAlone = (selected, at) => (same(selected, [at]) ? [] : [at]);

/** What a click with Ctrl leaves chosen. A map is about the question or about the answer, never both. */
export function toggled(selected, at) {
  const kept = selected.filter((one) => one !== at && one < 0 === at < 0);
  return inOrder(selected.includes(at) ? kept : [...kept, at]);
}

/** The tokens of a list from one to another, in either order. */
export function phrase(list, anchor, at) {
  const first = Math.min(anchor, at);
  const last = Math.max(anchor, at);
  return list.filter((one) => first <= one && one <= last);
}

/** The token some steps further in a list, which ends at its ends. */
export function stepped(list, at, by) {
  return list[clamp(list.indexOf(at) + by, 0, list.length - 1)];
}

/**
 * What is chosen, with its name. A named part of the answer goes by that.
 *
 * @param {number[]} tokens
 * @param {object[]} parts
 * @param {(at: number) => {text: string, before: string} | undefined} tokenAt
 * @returns {{tokens: number[], label: string, foil: ?string}}
 */
export function selectionOf(tokens, parts, tokenAt) {
  const sorted = inOrder(tokens);
  const named = parts.find((part) => part.foil == null && same(part.tokens, sorted));
  if (named) return named;
  const words = sorted.map((at, i) => {
    const token = tokenAt(at);
    const text = token?.text ?? "";
    if (i === 0) return text;
    if (at !== sorted[i - 1] + 1) return ` … ${text}`;
    return token?.before ? ` ${text}` : text;
  });
  const where = sorted[0] < 0 ? " (in the question)" : "";
  return { tokens: sorted, label: `“${words.join("")}”${where}`, foil: null };
}

/**
 * The same word in the explanation beside; null where there is none.
 *
 * @param {number} at
 * @param {{token: Function, listOf: Function}} own
 * @param {{token: Function, listOf: Function}} other
 * @returns {?number}
 */
export function twinOf(at, own, other) {
  const { text } = own.token(at);
  const alike = (words) => words.listOf(at).filter((one) => words.token(one).text === text);
  return alike(other)[alike(own).indexOf(at)] ?? null;
}
