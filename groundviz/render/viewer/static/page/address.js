/** What a reader has set, in the address of a page of its own, from where it is shown again.
 *
 * An address may come from anybody: of what it says, only what this record can show is believed.
 */

import { range } from "../data/numbers.js";
import { PageModel } from "./snapshot.js";
import { LEVELS, MOST_PANES, MOST_ZOOM, NORMS, STATE, WIDTHS } from "./state.js";

/** Letters of an address that are read, and values of one list. */
const LONGEST_ADDRESS = 4000;
const MOST_VALUES = 5000;
const NUMBER = /^-?\d{1,9}(\.\d{1,9})?(e-?\d{1,2})?$/;
const RUN = /^(-?\d{1,9})\.\.(-?\d{1,9})$/;
/** Numbers keep so many digits. */
const DIGITS = 6;

// ---- how values are written: for each name a form of its own

const isNumber = (text) => NUMBER.test(text);

const number = {
  write: (value) => String(+value.toPrecision(DIGITS)),
  read: (text) => (isNumber(text) ? Number(text) : undefined),
};

const flag = { write: Number, read: (text) => (["0", "1"].includes(text) ? text === "1" : undefined) };

const plain = { write: String, read: (text) => text };

/** Whole numbers, runs of them by their ends. */
const indices = {
  write(values) {
    const runs = [];
    for (const value of values) {
      if (runs.at(-1)?.[1] === value - 1) runs.at(-1)[1] = value;
      else runs.push([value, value]);
    }
    return runs.map(([first, last]) => (first === last ? first : `${first}..${last}`)).join(",");
  },
  read(text) {
    const found = [];
    for (const part of text.split(",")) {
      const [, first, last] = RUN.exec(part) ?? [null, part, part];
      const [from, to] = [Number(first), Number(last)];
      if (!isNumber(first) || !(to >= from && to - from < MOST_VALUES)) return undefined;
      found.push(...range(from, to + 1));
    }
    return found;
  },
};

const listOf = (form, between) => ({
  write: (values) => values.map(form.write).join(between),
  read: (text) => text.split(between).map(form.read),
});

// ---- what a record can show

const whole = (low, high) => (value) => Number.isInteger(value) && value >= low && value <= high;
const within = (low, high) => (value) => value >= low && value <= high;
const oneOf = (known) => (value) => known.includes(value);
const isRead = (value) => value !== undefined;
const each = (rule, most = MOST_VALUES) => (values) => values?.length <= most && values.every(rule);

/** For each name how it is written, and what it can be. */
function formsOf({ asked, images, known: outlines, kinds, maps, parts, tokens }) {
  const methods = maps.map(({ method }) => method);
  const token = oneOf([...tokens.keys(), ...asked.map(({ index }) => index)]);
  const heads = Math.max(0, ...maps.map(({ measured }) => measured[1]));
  return {
    selected: [indices, each(token)],
    part: [number, whole(0, parts.length - 1)],
    method: [plain, oneOf(methods)],
    compare: [listOf(plain, ","), each(oneOf(methods), MOST_PANES)],
    difference: [flag, isRead],
    pins: [listOf(indices, ";"), each(each(token), MOST_PANES)],
    slices: [indices, each(whole(0, images.length - 1))],
    image: [number, whole(0, images.length - 1)],
    tile: [number, whole(-1, maps.length - 1)],
    layer: [number, oneOf(maps.flatMap(({ layers }) => layers))],
    head: [number, whole(0, heads - 1)],
    norm: [plain, oneOf(Object.keys(NORMS))],
    sinks: [flag, isRead],
    smooth: [flag, isRead],
    fill: [flag, isRead],
    contour: [flag, isRead],
    opacity: [number, within(0, 1)],
    threshold: [number, within(0, 1)],
    cmap: [plain, oneOf(kinds.flat())],
    window: [number, within(...WIDTHS)],
    level: [number, within(...LEVELS)],
    invert: [flag, isRead],
    view: [listOf(number, ","), (view) => view.length === 3 && view.every(within(0, MOST_ZOOM))
      && view[2] >= 1 && Math.max(view[0], view[1]) <= 1],
    known: [number, whole(0, outlines.length - 1)],
  };
}

/** What is set, by its name, as texts; nothing of what stands as at the start. */
export function written(state, record) {
  const found = Object.entries(formsOf(record)).filter(([name]) => state[name] !== undefined);
  const texts = found.map(([name, [form]]) => [name, form.write(state[name]), form.write(STATE[name])]);
  return texts.filter(([, text, start]) => text !== start);
}

/**
 * The state that an address tells, and the start of all else.
 *
 * @param {(name: string) => ?string} textOf
 * @param {object} record
 */
export function readState(textOf, record) {
  const state = {};
  for (const [name, [form, allows]] of Object.entries(formsOf(record))) {
    const text = textOf(name);
    const value = text === null ? undefined : form.read(text);
    state[name] = value !== undefined && allows(value) ? value : STATE[name];
  }
  return state;
}

/** Keeps the state of one viewer of a page in the address. */
export class AddressModel extends PageModel {
  /** @param {number} at which viewer of the page it is */
  constructor(values, at) {
    super(values);
    this.prefix = at ? `${at}.` : "";
    this.heard = () => {
      this.take();
      this.call?.();
    };
  }

  /** Begin with what the address says of this record, and follow it. */
  restore(record) {
    this.record = record;
    this.take();
    window.addEventListener("hashchange", this.heard);
  }

  take() {
    const text = location.hash.slice(1);
    const told = new URLSearchParams(text.length > LONGEST_ADDRESS ? "" : text);
    Object.assign(this.values, readState((name) => told.get(this.prefix + name), this.record));
  }

  on(event, call) {
    if (event === "change") this.call = call;
  }

  off() {
    window.removeEventListener("hashchange", this.heard);
  }

  save_changes() {
    const told = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(STATE)) told.delete(this.prefix + name);
    for (const [name, text] of written(this.values, this.record)) told.set(this.prefix + name, text);
    // These signs need no escape here, and a link is read by people, too.
    const text = String(told).replaceAll("%2C", ",").replaceAll("%3B", ";");
    try {
      history.replaceState(history.state, "", text ? `#${text}` : location.pathname + location.search);
    } catch {
      // A page in a frame that may not change its address keeps what is set to itself.
    }
  }

  link() {
    return location.href;
  }
}
