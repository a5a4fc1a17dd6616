/** Finer values between cell centres, and lines around strong cells. */

import { clamp } from "./numbers.js";

/** For each fine cell along an axis: the two nearest cells, and how much the second counts. */
function neighbours(cells, factor) {
  const fine = cells * factor;
  const first = new Uint32Array(fine);
  const second = new Uint32Array(fine);
  const share = new Float64Array(fine);
  for (let at = 0; at < fine; at++) {
    const place = clamp((at + 0.5) / factor - 0.5, 0, cells - 1);
    first[at] = Math.floor(place);
    second[at] = Math.min(first[at] + 1, cells - 1);
    share[at] = place - first[at];
  }
  return { first, second, share };
}

/**
 * Values between cell centres on a grid `factor` times finer, never beyond cells that hold a value.
 *
 * @returns {Float32Array}
 */
export function finer(values, rows, cols, factor) {
  const width = cols * factor;
  const out = new Float32Array(rows * factor * width).fill(NaN);
  const down = neighbours(rows, factor);
  const across = neighbours(cols, factor);
  for (let r = 0; r < rows * factor; r++) {
    const upper = down.first[r] * cols;
    const lower = down.second[r] * cols;
    const own = Math.floor(r / factor) * cols;
    for (let c = 0; c < width; c++) {
      if (Number.isNaN(values[own + Math.floor(c / factor)])) continue;
      let total = 0;
      let weight = 0;
      const add = (at, counts) => {
        const value = values[at];
        if (!(counts > 0) || Number.isNaN(value)) return;
        total += counts * value;
        weight += counts;
      };
      const [left, right, dx, dy] = [across.first[c], across.second[c], across.share[c], down.share[r]];
      add(upper + left, (1 - dy) * (1 - dx));
      add(upper + right, (1 - dy) * dx);
      add(lower + left, dy * (1 - dx));
      add(lower + right, dy * dx);
      if (weight > 1e-9) out[r * width + c] = total / weight;
    }
  }
  return out;
}

/** Lines [x0, y0, x1, y1] in cells around those that are in. */
export function edges(inside, rows, cols) {
  const lines = [];
  const at = (r, c) => r >= 0 && c >= 0 && r < rows && c < cols && inside[r * cols + c];
  for (let r = 0; r <= rows; r++) {
    for (let c = 0; c <= cols; c++) {
      if (at(r, c) !== at(r - 1, c)) lines.push([c, r, c + 1, r]);
      if (at(r, c) !== at(r, c - 1)) lines.push([c, r, c, r + 1]);
    }
  }
  return lines;
}

/** Marching squares: lines [x0, y0, x1, y1] in cells where values between cell centres cross `level`. */
export function isolines(values, rows, cols, level) {
  const lines = [];
  // Beyond the border lies what lies on it. No value is below every level.
  const read = ([c, r]) => {
    const value = values[clamp(r, 0, rows - 1) * cols + clamp(c, 0, cols - 1)];
    return Number.isNaN(value) ? -Infinity : value;
  };
  const isIn = (r, c) => values[clamp(r, 0, rows - 1) * cols + clamp(c, 0, cols - 1)] >= level;
  const crossing = (from, to) => {
    const a = read(from);
    const b = read(to);
    if ((a >= level) === (b >= level)) return null;
    const share = Number.isFinite(a - b) ? (level - a) / (b - a) : 0.5;
    const along = (axis, most) => clamp(from[axis] + 0.5 + share * (to[axis] - from[axis]), 0, most);
    return [along(0, cols), along(1, rows)];
  };
  for (let r = -1; r < rows; r++) {
    for (let c = -1; c < cols; c++) {
      // Most cells are crossed by no line.
      const inside = isIn(r, c);
      if (inside === isIn(r, c + 1) && inside === isIn(r + 1, c) && inside === isIn(r + 1, c + 1)) continue;
      const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]];
      const cut = corners.map((corner, e) => crossing(corner, corners[(e + 1) % 4])).filter(Boolean);
      for (let i = 0; i + 1 < cut.length; i += 2) lines.push([...cut[i], ...cut[i + 1]]);
    }
  }
  return lines;
}
