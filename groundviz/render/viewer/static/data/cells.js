/** Which cells of a map lie where. Places are in source pixels. */

/** The code of a cell without a value. */
const MISSING = 255;

export const cellName = (map, at) =>
  `row ${Math.floor(at / map.cols) + 1} of ${map.rows}, column ${(at % map.cols) + 1} of ${map.cols}`;

/** The row and the column of a place; they may lie outside the map. */
export const rowAndColumn = (map, { x, y }) => [
  Math.floor((y - map.top) / map.dy), Math.floor((x - map.left) / map.dx),
];

/** The middle of a cell. */
export const middleOf = (map, row, col) => ({
  x: map.left + (col + 0.5) * map.dx, y: map.top + (row + 0.5) * map.dy,
});

/**
 * The cell at a place, as [index, 1].
 *
 * @returns {[number, number][]} empty where no cell with a value lies
 */
export function cellAt(map, place) {
  const [row, col] = rowAndColumn(map, place);
  if (row < 0 || col < 0 || row >= map.rows || col >= map.cols) return [];
  const at = row * map.cols + col;
  return map.cells[at] === MISSING ? [] : [[at, 1]];
}

/** How much of one cell lies between two ends, along one axis. */
function shareBetween(at, size, start, from, to) {
  const first = Math.max(start + at * size, from);
  const last = Math.min(start + (at + 1) * size, to);
  return Math.max(0, last - first) / size;
}

/** The cells of a box, each as [index, share of the cell that lies in the box]. */
export function cellsInBox(map, { x0, y0, x1, y1 }) {
  const found = [];
  for (let row = 0; row < map.rows; row++) {
    const height = shareBetween(row, map.dy, map.top, y0, y1);
    for (let col = 0; col < map.cols; col++) {
      const share = height * shareBetween(col, map.dx, map.left, x0, x1);
      const at = row * map.cols + col;
      if (share > 0 && map.cells[at] !== MISSING) found.push([at, share]);
    }
  }
  return found;
}

/** The cells of a known outline, each as [index, share of the cell that lies inside]. */
export function cellsInOutline(map, known) {
  const shares = map.inside.subarray(known * map.count, (known + 1) * map.count);
  const found = [];
  shares.forEach((share, at) => {
    if (share && map.cells[at] !== MISSING) found.push([at, share / 255]);
  });
  return found;
}

/** Runs [row, from, to) of cells that hold a value. */
export function valueRuns(map) {
  if (map.runs) return map.runs;
  map.runs = [];
  for (let row = 0; row < map.rows; row++) {
    let from = -1;
    for (let col = 0; col <= map.cols; col++) {
      const holds = col < map.cols && map.cells[row * map.cols + col] !== MISSING;
      if (holds && from < 0) from = col;
      if (holds || from < 0) continue;
      map.runs.push([row, from, col]);
      from = -1;
    }
  }
  return map.runs;
}
