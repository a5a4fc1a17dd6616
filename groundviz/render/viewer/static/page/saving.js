/** What a reader takes along: the view as an image, and where it is found again. */

import { button, element, setText } from "./element.js";
import { sheetOf, sheetSize } from "./sheet.js";

/** Pixels of a saved image for each of the source; 0 for those of the screen. */
const SIZES = [0, 1, 2, 3];

/** A choice of size, or null where no sheet could be that large. */
function choiceOf(viewer, times) {
  const size = sheetSize(viewer, times);
  const name = times ? `${times} × source` : "as shown";
  return size && [times, `${name}: ${size.join(" × ")}`];
}

/** Controls for all of it. */
export function sharing(viewer, fields) {
  const wish = { times: 0, texts: true };
  const status = element("span", { role: "status" });
  const doing = (does) => async () => {
    try {
      setText(status, await does());
    } catch (error) {
      setText(status, `This did not work: ${error.message}`);
    }
  };
  const sizes = fields.select("Size", {
    options: () => SIZES.map((times) => choiceOf(viewer, times)).filter(Boolean),
    value: () => wish.times,
    does: (times) => Object.assign(wish, { times: +times }),
  });
  const texts = element("input", {
    type: "checkbox", checked: true, onchange: () => Object.assign(wish, { texts: texts.checked }),
  });
  const link = viewer.model.link
    ? button("Copy link", doing(() => copyLink(viewer)), { title: "To this page, as it is shown now" }) : null;
  return [
    sizes, element("label", { class: "gv-check" }, texts, element("span", {}, "With question and answer")),
    element("div", { class: "gv-row" }, button("Copy image", doing(() => copyImage(viewer, wish))),
      button("Save as PNG", doing(() => saveImage(viewer, wish))), link),
    status,
  ];
}

async function pngOf(viewer, wish) {
  const sheet = await sheetOf(viewer, wish);
  const blob = await new Promise((done) => sheet.toBlob(done, "image/png"));
  if (!blob) throw new Error("the image is too large for this browser. Choose a smaller size.");
  return blob;
}

async function saveImage(viewer, wish) {
  download(await pngOf(viewer, wish));
  return "Saved.";
}

function download(blob) {
  const address = URL.createObjectURL(blob);
  element("a", { download: "groundviz.png", href: address }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** Where a page may not copy images, as on a server without encryption, it is saved. */
async function copyImage(viewer, wish) {
  const png = pngOf(viewer, wish);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    return "Copied.";
  } catch {
    download(await png);
    return "No image can be copied here: saved as a file instead.";
  }
}

async function copyLink({ model }) {
  model.save_changes();
  try {
    await navigator.clipboard.writeText(model.link());
    return "Copied.";
  } catch {
    return "Copy the address of this page: it is the link.";
  }
}
