/** Writes and draws on a sheet; what is measured first is then drawn by the same steps. */

/** Of a line, in sizes of its letters. */
const LEADING = 1.35;
const RIGHT_TO_LEFT = /^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;

/** Lines of at most so many pixels; a word that is wider is broken. */
export function wrapped(text, width, measure) {
  const lines = [];
  // A number stays with its sign.
  for (const paragraph of text.replaceAll(" %", "\u00a0%").split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ").flatMap((one) => broken(one, width, measure))) {
      const longer = line ? `${line} ${word}` : word;
      if (line && measure(longer) > width) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    lines.push(line);
  }
  return lines;
}

function broken(word, width, measure) {
  if (measure(word) <= width) return [word];
  const pieces = [""];
  for (const letter of word) {
    if (pieces.at(-1) && measure(pieces.at(-1) + letter) > width) pieces.push("");
    pieces[pieces.length - 1] += letter;
  }
  return pieces;
}

export class Pen {
  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} size of letters, in pixels
   * @param {CSSStyleDeclaration} style whose font and colours are taken
   */
  constructor(context, size, style) {
    Object.assign(this, { context, size, style });
    // Whether nothing is drawn, for what is measured.
    this.dry = true;
  }

  colour(name) {
    return this.style.getPropertyValue(`--gv-${name}`);
  }

  /** Letters of a size and a weight. */
  take({ bold = false, colour = "ink", scale = 1 } = {}) {
    const size = Math.round(this.size * scale);
    const font = `${bold ? 600 : 400} ${size}px ${this.style.fontFamily}`;
    Object.assign(this.context, { font, fillStyle: this.colour(colour), textBaseline: "top" });
    return size;
  }

  /** Write a text in lines of at most a width; where the next one begins. */
  write(text, x, y, width, look) {
    if (!text) return y;
    const { context } = this;
    const size = this.take(look);
    const lines = wrapped(text, width, (part) => context.measureText(part).width);
    const other = RIGHT_TO_LEFT.test(text);
    Object.assign(context, { direction: other ? "rtl" : "ltr", textAlign: "start" });
    const step = Math.round(LEADING * size);
    if (!this.dry) lines.forEach((line, at) => context.fillText(line, other ? x + width : x, y + at * step));
    return y + lines.length * step;
  }

  /** Write one short text at a place: (0, 0) is its upper left corner there, (1, 1) its lower right one. */
  mark(text, x, y, [across, down] = [0, 0], look = {}) {
    if (this.dry || !text) return;
    const size = this.take(look);
    Object.assign(this.context, { direction: "ltr", textAlign: "left" });
    this.context.fillText(text, x - across * this.context.measureText(text).width, y - down * size);
  }

  image(canvas, x, y, ...size) {
    if (!this.dry) this.context.drawImage(canvas, x, y, ...size);
  }
}
