/** Small images under their maps. */

import { colouredCells, coloursFor } from "../data/scale.js";
import { element } from "./element.js";
import { wholeImage } from "./image.js";

/** Give a canvas the shape of an image, its longer side so many pixels. */
export function fitSmall({ record }, canvas, image, side) {
  const { aspect, source: [rows, cols] } = record.images[image];
  const [tall, wide] = [rows * aspect[0], cols * aspect[1]];
  const scale = side / Math.max(tall, wide);
  canvas.width = Math.max(1, Math.round(wide * scale));
  canvas.height = Math.max(1, Math.round(tall * scale));
}

/** An image without its map. */
export function groundOf(viewer, image, side) {
  const ground = element("canvas");
  fitSmall(viewer, ground, image, side);
  const context = ground.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(wholeImage(viewer, image), 0, 0, ground.width, ground.height);
  return ground;
}

/**
 * Draw maps over their image.
 *
 * @param {object} viewer
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLCanvasElement} ground the image, as `groundOf` makes it
 * @param {{image: number, layers: object[], values: Float32Array[], scaled: ?object}} pane
 */
export function drawSmall({ record, scratch, state }, canvas, ground, { image, layers, values, scaled }) {
  const context = canvas.getContext("2d");
  context.drawImage(ground, 0, 0);
  if (!scaled) return;
  const { source: [rows, cols] } = record.images[image];
  const [x, y] = [canvas.width / cols, canvas.height / rows];
  const colours = coloursFor(record, scaled, state.cmap);
  context.imageSmoothingEnabled = false;
  layers.forEach((map, at) => {
    const pixels = colouredCells(values[at], scaled, colours, state);
    Object.assign(scratch, { width: map.cols, height: map.rows });
    scratch.getContext("2d").putImageData(new ImageData(pixels, map.cols, map.rows), 0, 0);
    context.drawImage(scratch, map.left * x, map.top * y, map.cols * map.dx * x, map.rows * map.dy * y);
  });
}
