/** The maps of the answer's words, one after the other as they were written. */

import { targetsOf } from "../data/maps.js";
import { same } from "../data/numbers.js";
import { button, element, setText } from "./element.js";

/** Milliseconds that each word is shown. */
const PACES = { slow: 1600, steady: 900, fast: 450 };

const wantsLittleMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function doesNext(timer) {
  if (timer) return "Pause";
  return wantsLittleMotion() ? "Next word" : "Play the words";
}

export class Player {
  constructor(viewer) {
    this.viewer = viewer;
    this.pace = "steady";
    // The word that was shown last, and what shows the next one.
    this.at = -1;
    this.timer = 0;
  }

  /** Words that the method has maps of, each as its tokens. To find them among hundreds takes long. */
  get words() {
    const { record, state: { method } } = this.viewer;
    if (this.found?.method !== method || this.found.maps !== record.maps) {
      const measured = (tokens) => this.viewer.maps.some((map) => targetsOf(map, { tokens, foil: null }));
      this.found = { method, maps: record.maps, words: record.words.filter(measured) };
    }
    return this.found.words;
  }

  /** Play, or pause. Who wants little motion goes on by one word. */
  toggle() {
    if (this.timer) this.pause();
    else if (wantsLittleMotion()) this.choose(this.next());
    else this.step();
  }

  /** The word behind the one that is chosen; the first where another one is. */
  next() {
    const { selected } = this.viewer.state;
    const { words } = this;
    if (!this.timer && !same(selected, words[this.at] ?? [-1])) this.at = -1;
    return this.at + 1 < words.length ? this.at + 1 : -1;
  }

  step() {
    const next = this.next();
    if (next < 0) return this.stop();
    this.at = next;
    this.timer = setTimeout(() => this.step(), PACES[this.pace]);
    this.viewer.words.show(this.words[next]);
  }

  /** Stay with the word that is shown. */
  pause() {
    this.choose(this.at);
  }

  choose(at) {
    const selected = this.words[at] ?? [];
    this.viewer.set({ selected });
    this.at = at;
  }

  /** Show again what is chosen. */
  stop() {
    if (this.timer) this.viewer.words.show(null);
    clearTimeout(this.timer);
    this.timer = 0;
    this.at = -1;
  }

  /** A button, how fast, and how far. */
  controls(fields) {
    const play = button("", () => this.toggle(), { title: "Key: a" });
    const follow = ({ target }) => Object.assign(this, { pace: target.value });
    const pace = element("select", { "aria-label": "Pace", onchange: follow },
      ...Object.keys(PACES).map((name) => element("option", { value: name, selected: name === this.pace }, name)));
    const far = element("span");
    const row = element("div", { class: "gv-row gv-player" }, play, pace, far);
    fields.updates.push(() => {
      const count = this.words.length;
      row.hidden = count < 2;
      pace.hidden = wantsLittleMotion();
      setText(play, doesNext(this.timer));
      setText(far, this.timer ? `${this.at + 1} of ${count}` : "");
    });
    return row;
  }
}
