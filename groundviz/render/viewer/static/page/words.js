/** The tokens of the question and of the answer: pointed at, chosen, and marked. */

import { chosenAlone, phrase, selectionOf, stepped, toggled, twinOf } from "../data/phrases.js";
import { element, setValue } from "./element.js";

export class Words {
  constructor(viewer) {
    const { record } = viewer;
    this.viewer = viewer;
    this.asked = new Map(record.asked.map((token) => [token.index, token]));
    this.lists = [[...record.tokens.keys()], [...this.asked.keys()]];
    this.chips = new Map();
    // The token under the pointer, the token with the focus, and where a phrase begins.
    this.hover = null;
    // The tokens of the word that is played.
    this.played = null;
    this.cursor = this.anchor = 0;
    this.answer = this.listed("Tokens of the answer", this.lists[0]);
    this.question = this.asked.size
      ? this.listed("Tokens of the question", this.lists[1]) : element("h2", {}, record.question);
    this.question.classList.add("gv-question");
    this.rove();
  }

  token(at) {
    return at < 0 ? this.asked.get(at) : this.viewer.record.tokens[at];
  }

  /** The tokens that stand in one list with a token: those of the answer, or those of the question. */
  listOf(at) {
    return this.lists[+(at < 0)];
  }

  /** What is shown: the token under the pointer, a word that is played, the tokens chosen, or a named part. */
  get chosen() {
    const { record, state } = this.viewer;
    if (this.hover !== null) return this.selection([this.hover]);
    if (this.played?.length) return this.selection(this.played);
    if (state.selected.length) return this.selection(state.selected);
    return record.parts[state.part] ?? record.parts[0];
  }

  selection(tokens) {
    return selectionOf(tokens, this.viewer.record.parts, (at) => this.token(at));
  }

  /** Tokens to point at and to choose from, as they stand in their text. */
  listed(name, tokens) {
    const list = element("div", {
      class: "gv-tokens", role: "listbox", "aria-label": name, "aria-multiselectable": "true",
      onpointerleave: () => this.hovered(null),
      // Shift-click means a phrase, not text to be copied.
      onmousedown: (event) => { if (event.shiftKey) event.preventDefault(); },
    });
    for (const at of tokens) {
      const token = this.token(at);
      const chip = this.chip(at, token);
      for (const mark of token.before || (token.spoken ? "" : " ")) {
        list.append(mark === "\n" ? element("br") : mark);
      }
      list.append(chip);
      this.chips.set(at, chip);
    }
    return list;
  }

  chip(at, token) {
    const kinds = ["gv-token", !token.spoken && "gv-special", at >= 0 && "gv-weighed",
      token.probability < 0.5 && "gv-unsure"];
    const chip = element("span", {
      class: kinds.filter(Boolean).join(" "), role: "option",
      title: token.sure && `probability ${token.sure}`, tabindex: -1,
      onpointerenter: (event) => { if (event.pointerType !== "touch") this.hovered(at); },
      onclick: (event) => this.pick(at, event),
      onfocus: () => this.focused(at),
    }, token.text);
    // In quarters, for a screen draws small differences now as none, now as a whole pixel.
    setValue(chip, "sure", Math.round(4 * (token.probability ?? 0)) / 4);
    return chip;
  }

  focused(at) {
    this.cursor = at;
    this.rove();
  }

  /** Let the Tab key reach one token of each list. */
  rove() {
    const other = this.lists[+(this.cursor >= 0)][0];
    this.chips.forEach((chip, at) => chip.setAttribute("tabindex", at === this.cursor || at === other ? 0 : -1));
  }

  hovered(token) {
    const { viewer } = this;
    if (token === this.hover) return;
    this.hover = token;
    for (const peer of viewer.peers) {
      peer.words.hover = token === null ? null : twinOf(token, this, peer.words);
      peer.refresh();
    }
    viewer.refresh();
  }

  /** Show some tokens for a while, and their twins beside; null for what is chosen. */
  show(tokens) {
    this.played = tokens;
    if (tokens) this.scrollTo(tokens[0]);
    for (const peer of this.viewer.peers) {
      peer.words.played = tokens?.map((token) => twinOf(token, this, peer.words)).filter((at) => at !== null);
      peer.refresh();
    }
    this.viewer.refresh();
  }

  /** Bring a token into sight within its text, not on the page. */
  scrollTo(token) {
    const chip = this.chips.get(token).getBoundingClientRect();
    const list = this.answer.getBoundingClientRect();
    const hidden = chip.top < list.top || chip.bottom > list.bottom;
    if (hidden) this.answer.scrollTop += chip.top - list.top - list.height / 3;
  }

  pick(at, event) {
    const { selected } = this.viewer.state;
    this.hover = null;
    if (event.shiftKey) return this.extend(at);
    this.anchor = at;
    const several = event.ctrlKey || event.metaKey;
    this.viewer.set({ selected: several ? toggled(selected, at) : chosenAlone(selected, at) });
  }

  /** Choose the phrase up to a token. */
  extend(at) {
    if (this.anchor < 0 !== at < 0) this.anchor = at;
    this.viewer.set({ selected: phrase(this.listOf(at), this.anchor, at) });
  }

  /** Move the focus by some tokens of its list, and choose what it is on. */
  go(by, extend) {
    this.cursor = stepped(this.listOf(this.cursor), this.cursor, by);
    this.hover = null;
    this.rove();
    this.chips.get(this.cursor).focus();
    if (extend) return this.extend(this.cursor);
    this.anchor = this.cursor;
    this.viewer.set({ selected: [this.cursor] });
  }

  /** Show which tokens are chosen, and the value of each at the place that is looked up. */
  mark(found) {
    const { tokens } = this.chosen;
    const named = this.hover === null && !this.played && !this.viewer.state.selected.length;
    let most = 0;
    if (found) for (const value of found.values.values()) most = Math.max(most, Math.abs(value));
    this.chips.forEach((chip, at) => {
      const value = found?.values.get(at);
      const shaded = value !== undefined;
      chip.setAttribute("aria-selected", tokens.includes(at));
      chip.classList.toggle("gv-part", named);
      chip.classList.toggle("gv-hover", this.hover === at || Boolean(this.played?.includes(at)));
      chip.classList.toggle("gv-shaded", shaded);
      chip.classList.toggle("gv-against", value < 0);
      chip.style.setProperty("--gv", shaded && most ? (Math.abs(value) / most).toFixed(3) : 0);
    });
  }
}
