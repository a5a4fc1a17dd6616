/** Kinds of controls. Each follows what it shows. */

import { percent } from "../data/numbers.js";
import { element, setText } from "./element.js";

const always = () => true;

/**
 * What the makers of controls have in common.
 *
 * @typedef {object} Control
 * @property {() => any} value what it shows
 * @property {(value: any) => void} does what a reader's choice does
 * @property {() => boolean} [shown] whether there is anything to choose
 */

export class Fields {
  constructor(viewer) {
    this.viewer = viewer;
    this.updates = [];
  }

  /** Bring every control up to date. */
  follow() {
    for (const update of this.updates) update();
  }

  /** A control under its name; `update` brings it up to date where it is `shown`. */
  field(name, shown, update, ...parts) {
    const label = element("label", { class: "gv-field" }, element("span", {}, name), ...parts);
    this.updates.push(() => {
      label.hidden = !shown();
      if (!label.hidden) update();
    });
    return label;
  }

  /** @param {Control & {options: () => [any, string][]}} control */
  select(name, { options, value, does, shown = always }) {
    const list = element("select", { "aria-label": name, onchange: () => does(list.value) });
    const update = () => {
      const found = options();
      const key = JSON.stringify(found);
      // A list that is open must not be made anew.
      if (list.dataset.key !== key) {
        list.dataset.key = key;
        list.replaceChildren(...found.map(([each, text]) => element("option", { value: each }, text)));
      }
      list.value = value();
    };
    return this.field(name, shown, update, list);
  }

  /** @param {Control & {low?: () => number, high: () => number, step?: number, text: () => string}} control */
  range(name, { low = () => 0, high, step = 1, value, text, does, shown = always }) {
    const slider = element("input", {
      "aria-label": name, type: "range", step, oninput: () => does(+slider.value),
    });
    const output = element("output", { class: "gv-value" });
    const update = () => {
      slider.min = low();
      slider.max = high();
      slider.value = value();
      setText(output, text());
      slider.setAttribute("aria-valuetext", text());
    };
    return this.field(name, shown, update, slider, output);
  }

  /** A slider over a share from 0 to 1 of the state. */
  share(name, key, { low, high = () => 100, step = 1, text } = {}) {
    const { viewer } = this;
    return this.range(name, {
      low, high, step,
      value: () => Math.round(100 * viewer.state[key]),
      text: text ?? (() => percent(viewer.state[key])),
      does: (now) => viewer.set({ [key]: now / 100 }),
    });
  }

  /** A switch of the state. */
  check(name, key, shown = always, title = null) {
    const { viewer } = this;
    const box = element("input", { type: "checkbox", onchange: () => viewer.set({ [key]: box.checked }) });
    const label = element("label", { class: "gv-check", title }, box, element("span", {}, name));
    this.updates.push(() => {
      label.hidden = !shown();
      box.checked = viewer.state[key];
    });
    return label;
  }
}
