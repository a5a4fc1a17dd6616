/** The viewer of groundviz: no dependencies, Canvas 2D.
 *
 * `render({ model, el })` is anywidget's contract; a plain page gives it a model that lives in the page.
 * It reads one payload (see groundviz/render/viewer/pack.py) and draws all in one animation frame; then it
 * writes `data-drawn` and `data-seq` on its root. groundviz/render/viewer/assets.py joins the modules.
 */

import { fromBase64, inflate, ownBytes, readImage, readRecords } from "./data/payload.js";
import { AddressModel } from "./page/address.js";
import { element } from "./page/element.js";
import { sideBySide, withControls } from "./page/layout.js";
import { PageModel, standIn } from "./page/snapshot.js";
import { Viewer } from "./page/viewer.js";

/**
 * Show a payload in an element.
 *
 * @param {{model: object, el: HTMLElement}} place
 * @returns {Promise<() => void>} what ends it
 */
async function render({ model, el }) {
  const records = await readRecords(ownBytes(model.get("_pack")));
  model.restore?.(records[0]);
  // What a second explanation does not share with the first stays in the page.
  const viewers = records.map((record, at) => new Viewer(at ? new PageModel({}) : model, record));
  for (const one of viewers) one.peers = viewers.filter((other) => other !== one);
  el.append(viewers.length > 1 ? sideBySide(viewers) : withControls(viewers[0]));
  for (const one of viewers) one.start();
  viewers[0].lead(viewers[0].state);
  if (model.send) fetchImages(model, viewers);
  if (model.get("_live")) document.dispatchEvent(new Event("groundviz"));
  return () => viewers.forEach((one) => one.stop());
}

const askFor = (model, side, image) => (level, tile) => model.send({ need: "tile", side, image, level, tile });

/** Ask for the pixels that the payload leaves out, so that they are seen but not saved with the notebook. */
function fetchImages(model, viewers) {
  viewers[0].receiveImages = async ({ images, tile }, bytes) => {
    for (const [side, at, header] of images ?? []) {
      const one = viewers[side];
      const image = Object.assign(one.record.images[at], { curve: null }, header);
      await readImage(image, ([start, length]) => bytes.slice(start, start + length), askFor(model, side, at));
      image.tiles.came = () => one.refresh();
      one.bases.clear();
      one.refresh();
    }
    if (tile) viewers[tile.side].record.images[tile.image].tiles.keep(tile.level, tile.tile, await inflate(bytes));
  };
  viewers.forEach(({ record }, side) => record.images.forEach((image, at) => {
    image.tiles.ask = askFor(model, side, at);
  }));
  if (model.get("_withheld")) model.send({ need: "images" });
}

/** Upgrade every static image of this page that stands with its payload. */
export function upgrade() {
  for (const place of document.querySelectorAll("[data-gv]:not([data-up])")) {
    place.setAttribute("data-up", "");
    upgradeOne(place).catch((error) => console.error("groundviz: the static images stay.", error));
  }
}

async function upgradeOne(place) {
  const name = place.dataset.gv;
  if (name && await standIn(place.closest(".groundviz") ?? place, name)) return;
  // The only one in there. A host that makes scripts anew may keep none of its attributes but its type.
  const bytes = fromBase64(place.querySelector("script").textContent);
  const el = element("div");
  const values = { _pack: new DataView(bytes.buffer) };
  // In a page of our own, never in a notebook's output: its address is not ours.
  const own = place.matches("body.groundviz > main > article > *");
  const at = [...document.querySelectorAll("[data-gv]")].indexOf(place);
  await render({ model: own ? new AddressModel(values, at) : new PageModel(values), el });
  place.replaceChildren(el);
}

export default { render };
