/** A contact sheet of many cases: sorted, filtered, linked with a scatter; each opens in the viewer. */

import { button, element, setText } from "../../viewer/static/page/element.js";
import { Archive } from "./archive.js";
import { CaseDialog } from "./dialog.js";
import { Scatter } from "./scatter.js";
import { Sheet } from "./sheet.js";

class Gallery {
  constructor(el) {
    this.archive = new Archive();
    const { columns, cases } = this.archive.index;
    this.columns = columns;
    this.cases = cases;
    this.numbers = columns.map(({ number }, at) => (number ? at : -1)).filter((at) => at >= 0);
    this.state = { sort: this.numbers[0] ?? -1, down: false, chosen: new Map(), box: null };
    this.count = element("p", { class: "gg-count", role: "status" });
    this.dialog = new CaseDialog(this);
    this.sheet = new Sheet(this);
    this.scatter = new Scatter(this);
    const side = element("aside", { class: "gg-side" }, this.scatter.node);
    el.replaceChildren(this.bar(), this.count, element("div", { class: "gg-body" }, this.sheet.node, side),
      this.dialog.node);
    el.classList.add("gg-root");
    this.refresh();
  }

  bar() {
    const sorts = this.numbers.map((at) => element("option", { value: at }, this.columns[at].title));
    const sort = element("select", { onchange: ({ target }) => this.set({ sort: Number(target.value) }) }, ...sorts);
    const turn = button("Lowest first", () => {
      this.set({ down: !this.state.down });
      setText(turn, this.state.down ? "Highest first" : "Lowest first");
    });
    const filters = this.columns.map(({ number }, at) => (number ? null : this.filter(at)));
    const all = button("Show all", () => this.clear());
    return element("div", { class: "gg-bar" }, element("label", {}, "Sort by ", sort), turn, ...filters, all);
  }

  filter(at) {
    const words = [...new Set(this.cases.map(({ facts }) => facts[at]))].filter((word) => word !== null).sort();
    const options = words.map((word) => element("option", { value: word }, word));
    const change = ({ target }) => {
      if (target.value) this.state.chosen.set(at, target.value);
      else this.state.chosen.delete(at);
      this.refresh();
    };
    const { title } = this.columns[at];
    const select = element("select", { onchange: change, "data-filter": at },
      element("option", { value: "" }, "all"), ...options);
    return words.length > 1 ? element("label", {}, `${title} `, select) : null;
  }

  clear() {
    this.state.chosen.clear();
    for (const select of document.querySelectorAll("select[data-filter]")) select.value = "";
    this.set({ box: null });
  }

  set(changes) {
    Object.assign(this.state, changes);
    this.refresh();
  }

  /** Whether a case is shown: by its words, and by the box drawn in the scatter. */
  shows({ facts }) {
    for (const [at, word] of this.state.chosen) if (facts[at] !== word) return false;
    return this.scatter.holds(facts);
  }

  refresh() {
    const { sort, down } = this.state;
    const sign = down ? -1 : 1;
    const shown = this.cases.map((one, at) => at).filter((at) => this.shows(this.cases[at]));
    const value = (at) => this.cases[at].facts[sort];
    // What has no number comes last, whichever way is sorted.
    const rank = (at) => (value(at) === null ? 1 : 0);
    shown.sort((one, other) => rank(one) - rank(other) || sign * (value(one) - value(other)) || one - other);
    this.shown = shown;
    setText(this.count, `${shown.length} of ${this.cases.length} cases`);
    this.sheet.layOut();
    this.scatter.draw();
  }

  written(at) {
    return this.columns.map(({ title, number, digits }, column) => {
      const fact = this.cases[at].facts[column];
      if (fact === null) return `${title}: not measured`;
      return `${title}: ${number ? fact.toFixed(digits) : fact}`;
    });
  }

  mark(at) {
    this.marked = at;
    this.scatter.draw();
  }

  open(at) {
    this.dialog.open(at);
  }
}

/**
 * The gallery in an element.
 *
 * @param {{el: HTMLElement}} place
 */
function showGallery({ el }) {
  return new Gallery(el);
}

export default { showGallery };
