/** The contact sheet. Only the tiles in view, and a few above and below, are in the page. */

import { element } from "../../viewer/static/page/element.js";

// About as wide, so that a row fills the sheet; below the image is room for three lines of text.
const WIDTH = 162;
const FRAME = 12;
const TEXT = 58;
const MARGIN = 2;

export class Sheet {
  constructor(gallery) {
    this.gallery = gallery;
    this.room = element("div", { class: "gg-room", role: "list" });
    this.node = element("div", { class: "gg-sheet", tabindex: 0, "aria-label": "Cases" }, this.room);
    this.tiles = new Map();
    this.node.addEventListener("scroll", () => this.drawSoon(), { passive: true });
    new ResizeObserver(() => this.layOut()).observe(this.node);
  }

  layOut() {
    const room = this.node.clientWidth - 4;
    this.across = Math.max(1, Math.round(room / WIDTH));
    this.width = Math.max(WIDTH / 2, Math.floor(room / this.across));
    this.height = this.width + TEXT;
    this.room.style.height = `${Math.ceil(this.gallery.shown.length / this.across) * this.height}px`;
    this.room.style.setProperty("--side", `${this.width - FRAME}px`);
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    this.draw();
  }

  drawSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { shown, archive } = this.gallery;
    const top = Math.floor(this.node.scrollTop / this.height) - MARGIN;
    const rows = Math.ceil(this.node.clientHeight / this.height) + 2 * MARGIN;
    const first = Math.max(0, top * this.across);
    const last = Math.min(shown.length, (top + rows + 1) * this.across);
    for (const [place, tile] of this.tiles) {
      if (place < first || place >= last) {
        tile.remove();
        this.tiles.delete(place);
      }
    }
    let waiting = false;
    for (let place = first; place < last; place += 1) {
      const small = archive.small(shown[place]);
      if (!this.tiles.has(place)) this.add(place);
      const image = this.tiles.get(place).firstChild;
      if (small && !image.src) image.src = small;
      waiting ||= !small;
    }
    this.node.dataset.drawn = this.tiles.size;
    // The rest of the page is still being read.
    if (waiting && document.readyState === "loading") this.drawSoon();
    else if (waiting) setTimeout(() => this.drawSoon(), 50);
  }

  add(place) {
    const { gallery } = this;
    const at = gallery.shown[place];
    const { name, facts } = gallery.cases[at];
    const { sort } = gallery.state;
    const fact = sort < 0 || facts[sort] === null ? "not measured" : facts[sort].toFixed(gallery.columns[sort].digits);
    const tile = element("button", {
      type: "button", class: "gg-tile", role: "listitem", "data-case": at, title: gallery.written(at).join("\n"),
      onclick: () => gallery.open(at), onpointerenter: () => gallery.mark(at), onfocus: () => gallery.mark(at),
    }, element("img", { alt: "", draggable: "false" }), element("span", { class: "gg-name" }, name),
    element("span", { class: "gg-fact" }, fact));
    tile.style.transform = `translate(${(place % this.across) * this.width}px,`
      + `${Math.floor(place / this.across) * this.height}px)`;
    this.room.append(tile);
    this.tiles.set(place, tile);
  }
}
