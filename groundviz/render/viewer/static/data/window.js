/** From an image's numbers to grey levels and to the values of its file, under a window. */

import { clamp, percent, printed } from "./numbers.js";

/** What is shown of an image: 0 is what was read as black, 1 what was read as white. */
const placeOf = ({ read: [black, white] }, number) => (number - black) / (white - black);

/** The window's lower end and its width, both as such places. */
function endsOf({ level, window: width }) {
  return [level - width / 2, width];
}

/** Brightness, 0 to 1, of a place within a window. */
function brightness(curve, share) {
  const inside = clamp(share, 0, 1);
  if (!curve) return inside;
  const place = inside * (curve.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, curve.length - 1);
  return curve[below] + (curve[above] - curve[below]) * (place - below);
}

/**
 * The grey level, 0 to 255, of every number of an image.
 *
 * @returns {Uint8ClampedArray} of `top` + 1 levels
 */
export function levelsOf(image, state) {
  const [low, width] = endsOf(state);
  const levels = new Uint8ClampedArray(image.top + 1);
  for (let number = 0; number <= image.top; number++) {
    const level = 255 * brightness(image.curve, (placeOf(image, number) - low) / width);
    levels[number] = state.invert ? 255 - level : level;
  }
  return levels;
}

/** A number's value in the units of its file; undefined where these are not known. */
export const valueOf = ({ value }, number) => (value ? value.low + value.step * number : undefined);

/** A place between black, 0, and white, 1, as a value of the file. */
const valueAt = (image, place) => {
  const { read: [black, white] } = image;
  return valueOf(image, black + place * (white - black));
};

/** Whether two images count in the same unit, so that a window of one is a window of the other. */
const countAlike = (image, other) =>
  Boolean(image.value?.unit && image.value.unit === other.value?.unit && !image.curve && !other.curve);

/**
 * The window of an image that shows the same values of the file as another does under a window.
 *
 * As they were read, each has its own: so the model saw them.
 *
 * @param {object} image
 * @param {object} other the image whose places the window counts in
 * @param {{level: number, window: number}} state
 */
export function windowIn(image, other, state) {
  const { level, window: width } = state;
  if (image === other || (level === 0.5 && width === 1) || !countAlike(image, other)) return state;
  const { low, step } = image.value;
  const placeIn = (place) => placeOf(image, (valueAt(other, place) - low) / step);
  return { ...state, level: placeIn(level), window: Math.abs(placeIn(width) - placeIn(0)) };
}

/** Centre and width of the window in words, in the file's units where these are known. */
export function windowTexts(image, { level, window: width }) {
  if (image.value) {
    const [centre, more] = image.value.shift;
    const across = Math.abs(valueAt(image, width) - valueAt(image, 0));
    return [printed(valueAt(image, level) + centre, 5), printed(across + more, 5)];
  }
  if (image.window) {
    const [centre, applied] = image.window;
    return [printed(centre + (level - 0.5) * applied, 4), printed(Math.abs(width * applied), 4)];
  }
  return [percent(level), percent(width)];
}

/** What an image holds at a place, in words. */
export function valueText(image, { numbers, over }) {
  const mean = over > 1.01 ? `, mean of ${printed(over, 2)} × ${printed(over, 2)} pixels` : "";
  if (numbers.length > 1) return `red ${numbers[0]}, green ${numbers[1]}, blue ${numbers[2]}${mean}`;
  const value = valueOf(image, numbers[0]);
  if (value === undefined) return `brightness ${percent(numbers[0] / image.top)}${mean}`;
  const unit = image.value.unit;
  return unit ? `${printed(value, 7)} ${unit}${mean}` : `stored value ${printed(value, 7)}${mean}`;
}

/** The ends of what sliders reach: places of the lowest and the highest number, and their distance. */
export function reachOf(image) {
  const [a, b] = [placeOf(image, 0), placeOf(image, image.top)];
  return { low: Math.min(a, b, 0), high: Math.max(a, b, 1), width: Math.max(1, Math.abs(b - a)) };
}

/** A length of 1, 2 or 5 times a power of ten that takes no more than `most` pixels. */
export function barLength(perPixel, most) {
  const longest = perPixel * most;
  const ten = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((one) => one * ten).find((one) => one <= longest) ?? ten;
  return { length, pixels: length / perPixel };
}
