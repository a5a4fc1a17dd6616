/** Numbers within bounds, and numbers as a reader sees them. */

const SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** The centre of a view that shows a share of the image along an axis, and nothing beyond it. */
export const centreWithin = (centre, share) => clamp(centre, share / 2, 1 - share / 2);

/** Whether two lists hold the same values in the same order. */
export const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/** The value behind this one in a list, the first behind the last. */
export const nextOf = (list, value) => list[(list.indexOf(value) + 1) % list.length];

/** The numbers from `first` up to `end`, without `end`. */
export const range = (first, end) => Array.from({ length: end - first }, (_, i) => first + i);

/**
 * A number with a true minus sign and powers of ten.
 *
 * @param {number} value
 * @param {number} [digits] how many count
 * @returns {string}
 */
export function printed(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const small = value && Math.abs(value) < 1e-4;
  const text = small ? value.toExponential(digits - 1) : String(+value.toPrecision(digits));
  const [mantissa, power] = text.split("e");
  const plain = String(+mantissa).replace("-", "−");
  if (!power) return plain;
  const raised = String(+power).replace(/./g, (sign) => SUPERSCRIPTS["-0123456789".indexOf(sign)]);
  return `${plain} × 10${raised}`;
}

/** A share from 0 to 1 in percent, to two digits where it is small. */
export function percent(share) {
  const text = share && share < 0.1 ? printed(100 * share, 2) : Math.round(100 * share);
  return `${text} %`;
}
