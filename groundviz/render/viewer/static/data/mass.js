/** Where the mass of a map lies, by the rule of groundviz/record/mass.py. */

/** Shares of a map's mass whose cells are outlined; the further one thinly. */
export const HALF = 0.5;
export const MOST = 0.9;
/** Lines around more of the cells than this are a maze. */
export const WIDEST = 0.25;

const sizeOf = (value) => (Number.isFinite(value) ? Math.abs(value) : 0);

/**
 * The fewest cells that hold a share of the sum of all magnitudes, and those as heavy as the last of them.
 *
 * @param {Float32Array} values NaN where there is no value
 * @param {number} share above 0 to 1
 * @returns {boolean[]}
 */
export function heaviest(values, share) {
  const falling = Float64Array.from(values, sizeOf).sort().reverse();
  const total = falling.reduce((sum, size) => sum + size, 0);
  // Rounding must not keep the whole of the mass from being reached.
  const needed = share * total * (1 - 1e-12);
  let held = 0;
  const last = falling.find((size) => {
    held += size;
    return held >= needed;
  });
  return Array.from(values, (value) => sizeOf(value) > 0 && sizeOf(value) >= last);
}

/** The sum of all magnitudes of some maps. */
export const massOf = (arrays) =>
  arrays.reduce((total, values) => values.reduce((sum, value) => sum + sizeOf(value), total), 0);

/** The share of each mass in all of them; null where one is not known, or there is none. */
export function sharesOf(masses) {
  const total = masses.reduce((sum, mass) => sum + mass, 0);
  return total > 0 ? masses.map((mass) => mass / total) : null;
}

/** How many cells hold half of some maps, and of how many that hold a value. */
export function halfOf(arrays) {
  const count = (cells) => cells.filter(Boolean).length;
  const found = { half: 0, all: 0 };
  for (const values of arrays) {
    found.half += count(heaviest(values, HALF));
    found.all += count(Array.from(values, Number.isFinite));
  }
  return found;
}
