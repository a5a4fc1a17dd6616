/** Which images are slices of one stack, and which of them is shown. */

/**
 * Images that belong together; every other image is a stack of its own.
 *
 * @typedef {object} Stack
 * @property {number[]} images
 * @property {string} name
 * @property {number} start the image that is shown first
 */

/** The stack of an image. */
export const stackOf = ({ stacks }, image) => stacks.find(({ images }) => images.includes(image));

/** The image of a stack that is shown, where `slices` are those that were chosen. */
export const shownIn = ({ images, start }, slices) => slices.find((image) => images.includes(image)) ?? start;

/** What was chosen, with another slice of one stack. */
export const withSlice = ({ images }, slices, image) =>
  [...slices.filter((one) => !images.includes(one)), image];

/** Whether two records show slices of the same numbers at the same places. */
export function areAlike(record, other) {
  const places = ({ images }) => JSON.stringify(images.map(({ number, place }) => [number, place]));
  return places(record) === places(other);
}

/**
 * Steps from slice to slice for a wheel, which some turn by notches and others by single pixels.
 *
 * @param {number} turned pixels that were turned since the last step
 * @returns {[number, number]} whole steps, and what is left
 */
export function stepsOf(turned) {
  const [least, each] = [40, 100];
  if (Math.abs(turned) < least) return [0, turned];
  return [Math.sign(turned) * Math.max(1, Math.round(Math.abs(turned) / each)), 0];
}
