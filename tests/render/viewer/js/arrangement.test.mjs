/** How panes stand in a room. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrangement, BETWEEN } from "../../../../groundviz/render/viewer/static/data/arrangement.js";

const SHAPE = { aspect: 1, around: 100, least: 150, ample: 340, narrowest: 200 };

test("one pane takes what there is, and no more than its image needs", () => {
  const wide = arrangement(1, { width: 1000, height: 700 }, SHAPE);
  assert.deepEqual(wide, { columns: 1, rows: 1, width: 1000, height: 600 });
  assert.equal(arrangement(1, { width: 400, height: 700 }, SHAPE).height, 400);
});

test("no other number of columns has larger images", () => {
  for (let count = 1; count <= 8; count++) {
    for (const [width, height] of [[990, 690], [2000, 1290], [500, 900], [1400, 420]]) {
      const found = arrangement(count, { width, height }, SHAPE);
      assert.ok(found.columns * found.rows >= count);
      for (let columns = 1; columns <= count; columns++) {
        const rows = Math.ceil(count / columns);
        const across = (width - BETWEEN * (columns - 1)) / columns;
        const down = (height - BETWEEN * (rows - 1)) / rows - SHAPE.around;
        const readable = columns === 1 || across >= SHAPE.narrowest;
        if (readable && down >= SHAPE.least) {
          assert.ok(Math.min(found.width, found.height) >= Math.floor(Math.min(across, down)));
        }
      }
    }
  }
});

test("where they do not fit, the page scrolls and none is tiny", () => {
  const found = arrangement(8, { width: 420, height: 500 }, SHAPE);
  assert.ok(found.height >= 200);
  assert.ok(found.width >= SHAPE.narrowest);
});
