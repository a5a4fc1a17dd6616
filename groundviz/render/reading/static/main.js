/** The screen of a reader study: one trial at a time, from Python and back to it. */

import { element, setText } from "../../viewer/static/page/element.js";
import { Board } from "./board.js";
import { HELP, TITLES, ask } from "./questions.js";

/** A reader's screen in an element; what it needs comes by messages, see render/reading/exchange.py. */
class Screen {
  constructor(model, el) {
    this.model = model;
    this.progress = element("p", { class: "gr-progress", role: "status" });
    this.title = element("h2", { class: "gr-title", tabindex: "-1" });
    this.help = element("p", { class: "gr-help" });
    this.words = element("dl", { class: "gr-words" });
    this.stage = element("div", { class: "gr-stage" });
    this.form = element("div", { class: "gr-form" });
    this.failed = element("p", { class: "gr-failed", role: "alert" });
    this.board = new Board(this.stage, () => this.acted());
    const body = element("div", { class: "gr-body" }, this.stage, this.form);
    this.root = element("section", { class: "gr-root", "data-lm-suppress-shortcuts": "true", tabindex: "-1" },
      this.progress, this.title, this.help, this.words, body, this.failed);
    this.receive = (content, buffers) => this.received(content, buffers);
    this.key = (event) => this.pressed(event);
    this.root.addEventListener("keydown", this.key);
    model.on("msg:custom", this.receive);
    el.append(this.root);
    model.send({ need: "trial" });
  }

  stop() {
    this.model.off("msg:custom", this.receive);
    this.board.stop();
  }

  async received({ shown, failed }, buffers) {
    setText(this.failed, failed ?? "");
    if (failed) this.form.inert = false;
    if (!shown) return;
    const bitmaps = await Promise.all(buffers.map(decode));
    this.shown = shown;
    setText(this.progress, shown.stage === "done" ? "" : `Trial ${shown.number} of ${shown.count}`);
    setText(this.title, TITLES[shown.stage]);
    setText(this.help, HELP[shown.stage]);
    this.words.replaceChildren(...described(shown.words));
    this.board.show(bitmaps, shown);
    this.asked = ask(shown.stage, this.board, (reply) => this.reply(reply));
    this.form.replaceChildren(...this.asked.nodes);
    this.form.inert = false;
    this.began = performance.now();
    this.first = null;
    this.root.dataset.stage = shown.stage;
    this.root.dataset.number = shown.number;
    // So that keys work at once, and a screen reader says what is asked.
    this.title.focus({ preventScroll: true });
  }

  /** Note when the reader did something for the first time. */
  acted() {
    this.first ??= performance.now() - this.began;
  }

  pressed(event) {
    if (event.target.tagName === "TEXTAREA" || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    this.acted();
    if (event.key === "h") this.board.toggle();
    else if (!this.asked?.keys?.[event.key]) return;
    else if (!this.form.inert) this.asked.keys[event.key]();
    event.preventDefault();
  }

  reply(given) {
    this.acted();
    this.form.inert = true;
    const { board } = this;
    this.model.send({
      reply: {
        number: this.shown.number,
        zoomed: board.zoomed ? 1 : 0,
        opacity: this.shown.maps ? board.opacity : null,
        t_first_ms: Math.round(this.first),
        t_total_ms: Math.round(performance.now() - this.began),
        ...given,
      },
    });
  }
}

const NAMES = { finding: "Finding", phrase: "Phrase", question: "Question", answer: "The model's answer" };

function described(words) {
  return Object.entries(NAMES).filter(([name]) => words[name])
    .map(([name, title]) => element("div", {}, element("dt", {}, title), element("dd", {}, words[name])));
}

function decode(view) {
  const bytes = view.buffer ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : view;
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

/**
 * Show a reader's screen in an element.
 *
 * @param {{model: object, el: HTMLElement}} place
 * @returns {() => void} what ends it
 */
function render({ model, el }) {
  const screen = new Screen(model, el);
  return () => screen.stop();
}

export default { render };
