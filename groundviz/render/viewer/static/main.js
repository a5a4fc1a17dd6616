/** The viewer of groundviz: no dependencies, Canvas 2D.
 *
 * `render({ model, el })` is anywidget's contract; a plain page gives it a model that lives in the page.
 * It reads one payload (see groundviz/render/viewer/pack.py) and draws all in one animation frame; then it
 * writes `data-drawn` and `data-seq` on its root. groundviz/render/viewer/assets.py joins the modules.
 */

import { decodeImage, fromBase64, ownBytes, readRecords } from "./data/payload.js";
import { sideBySide } from "./page/compare.js";
import { element } from "./page/element.js";
import { withControls } from "./page/layout.js";
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
  // What a second explanation does not share with the first stays in the page.
  const viewers = records.map((record, at) => new Viewer(at ? new PageModel({}) : model, record));
  for (const one of viewers) one.peers = viewers.filter((other) => other !== one);
  el.append(viewers.length > 1 ? sideBySide(viewers) : withControls(viewers[0]));
  for (const one of viewers) one.start();
  if (model.get("_withheld") && model.send) fetchImages(model, viewers);
  if (model.get("_live")) document.dispatchEvent(new CustomEvent("groundviz", { detail: model.get("_live") }));
  return () => viewers.forEach((one) => one.stop());
}

/** Ask for the pixels that the payload leaves out, so that they are seen but not saved with the notebook. */
function fetchImages(model, viewers) {
  const receive = async ({ images }, buffers) => {
    if (!images) return;
    model.off("msg:custom", receive);
    const bytes = ownBytes(buffers[0]);
    for (const [side, image, at, length] of images) {
      const one = viewers[side];
      one.record.images[image].bitmap = await decodeImage(bytes.slice(at, at + length));
      one.bases.clear();
      one.refresh();
    }
  };
  model.on("msg:custom", receive);
  model.send({ need: "images" });
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
  const bytes = fromBase64(place.querySelector("[data-gv-pack]").textContent);
  const el = element("div");
  await render({ model: new PageModel({ _pack: new DataView(bytes.buffer) }), el });
  place.replaceChildren(el);
}

export default { render };
