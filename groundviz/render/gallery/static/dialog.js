/** One case in the viewer, above the sheet. */

import { upgrade } from "../../viewer/static/main.js";
import { button, element, setText } from "../../viewer/static/page/element.js";

export class CaseDialog {
  constructor(gallery) {
    this.gallery = gallery;
    this.name = element("h2", { class: "gg-title", tabindex: "-1" });
    this.facts = element("p", { class: "gg-facts" });
    this.room = element("div", { class: "gg-viewer" });
    const bar = element("div", { class: "gg-bar" }, button("Previous", () => this.step(-1)),
      button("Next", () => this.step(1)), button("Close", () => this.node.close()));
    this.node = element("dialog", { class: "gg-dialog", onclose: () => this.room.replaceChildren() },
      bar, this.name, this.facts, this.room);
  }

  step(by) {
    const { shown } = this.gallery;
    const place = shown.indexOf(this.at) + by;
    if (place >= 0 && place < shown.length) this.open(shown[place]);
  }

  async open(at) {
    const { gallery } = this;
    this.at = at;
    setText(this.name, gallery.cases[at].name);
    setText(this.facts, gallery.written(at).join(" · "));
    if (!this.node.open) this.node.showModal();
    this.room.replaceChildren(element("p", {}, "Loading"));
    const payload = await gallery.archive.payload(at);
    // Meanwhile another one may have been opened, or this one closed.
    if (this.at !== at || !this.node.open) return;
    if (payload === null) {
      setTimeout(() => this.at === at && this.node.open && this.open(at), 100);
      return;
    }
    const carried = element("script", { type: "application/octet-stream", "data-gv-pack": true }, payload);
    this.room.replaceChildren(element("div", { "data-gv": "" }, carried));
    upgrade();
    gallery.mark(at);
  }
}
