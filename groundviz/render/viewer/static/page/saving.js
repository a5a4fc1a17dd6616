/** The panes as one image, to be kept. */

import { element } from "./element.js";
import { factsOf, knownOf } from "./evidence.js";

/** Save the panes as they are shown, with their captions and scales. */
export function saveImage(viewer) {
  const { ratio } = viewer.panes[0].fit;
  const [gap, line] = [12 * ratio, 16 * ratio];
  const panes = [viewer, ...viewer.peers].flatMap(({ panes: all, record }) =>
    all.map((pane) => ({ pane, lines: captionLines(record, pane) })));
  const wide = Math.max(...panes.map(({ pane }) => pane.canvas.width));
  const tall = Math.max(...panes.map(({ pane }) => pane.canvas.height));
  const most = Math.max(...panes.map(({ lines }) => lines.length));
  const width = (wide + gap) * panes.length + gap;
  const height = tall + 3 * gap + line * most;
  const sheet = element("canvas", { width, height });
  const context = sheet.getContext("2d");
  const style = getComputedStyle(viewer.root);
  context.fillStyle = style.getPropertyValue("--gv-ground");
  context.fillRect(0, 0, sheet.width, sheet.height);
  const font = `${12 * ratio}px ${style.fontFamily}`;
  Object.assign(context, { font, fillStyle: style.color, textBaseline: "top" });
  panes.forEach(({ pane, lines }, at) => {
    const x = gap + at * (wide + gap);
    context.drawImage(pane.canvas, x, gap);
    if (pane.scaled) context.drawImage(pane.bar, x, tall + 1.5 * gap, wide, gap / 2);
    lines.forEach((text, row) => context.fillText(text, x, tall + 2.4 * gap + row * line, wide));
  });
  element("a", { download: "groundviz.png", href: sheet.toDataURL("image/png") }).click();
}

/** A pane's caption and scale as short lines. */
function captionLines(record, pane) {
  const text = (node) => node.textContent;
  const [low, high] = pane.ticks.map(text);
  const [left, right] = pane.sides.map((side) => (side.hidden ? "" : ` (${text(side)})`));
  const ends = `${low}${left} to ${high}${right}`;
  const scale = `${ends} ${text(pane.unit)}; ${text(pane.rule)}; ${text(pane.summit)}`;
  const answer = record.cut && `the answer is ${record.cut}`;
  const facts = factsOf(knownOf(record, [pane.method])).map((pair) => pair.join(": "));
  const parts = [
    record.name, ...facts, text(pane.title), text(pane.undone), answer, text(pane.detail),
    pane.scaled ? scale : text(pane.none),
  ];
  // What a caption repeats stands there once.
  return [...new Set(parts.join(" · ").split(/ · |; /))].filter(Boolean);
}
