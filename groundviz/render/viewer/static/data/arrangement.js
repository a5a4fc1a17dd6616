/** How equal panes stand in a room so that their images are largest. */

import { range } from "./numbers.js";

/** Pixels between panes. */
export const BETWEEN = 14;

/**
 * Columns for some panes, and the size of each pane's frame.
 *
 * @param {number} count panes
 * @param {{width: number, height: number}} room what there is for all of them
 * @param {object} shape of one pane
 * @param {number} shape.aspect height of its image divided by its width
 * @param {number} shape.around height of what stands over and under its frame
 * @param {number} shape.least height of a frame below which panes do not fit
 * @param {number} shape.ample height of a frame where they do not
 * @param {number} shape.narrowest width below which a caption is not read
 * @returns {{columns: number, rows: number, width: number, height: number}} pixels of a frame
 */
export function arrangement(count, room, { aspect, around, least, ample, narrowest }) {
  const each = range(1, count + 1).map((columns) => {
    const rows = Math.ceil(count / columns);
    const width = (room.width - BETWEEN * (columns - 1)) / columns;
    const tall = (room.height - BETWEEN * (rows - 1)) / rows - around;
    // Where they do not fit anyhow, the page scrolls, and none need be small.
    const height = Math.min(tall >= least ? tall : ample, width * aspect);
    return { columns, rows, width, height, side: Math.min(width, height / aspect), fits: tall >= least };
  });
  const wide = each.filter(({ columns, width }) => columns === 1 || width >= narrowest);
  // What fits into the window goes before what is larger and does not.
  const best = (a, b) => b.fits - a.fits || b.side - a.side || a.rows - b.rows;
  const [{ columns, rows, width, height }] = wide.sort(best);
  return { columns, rows, width, height: Math.floor(height) };
}
