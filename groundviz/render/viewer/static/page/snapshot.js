/** A viewer without a kernel, in a page or in a notebook's saved output. */

/** Keeps what anywidget's model would; nothing listens to it. */
export class PageModel {
  constructor(values) {
    this.values = values;
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.values[name] = value;
  }

  on() {}
  off() {}
  save_changes() {}
}

/** Milliseconds in which a live widget comes, if it does. */
const PATIENCE = 2500;

/**
 * Stand in for a live widget of this name, and give way to it whenever it comes.
 *
 * @param {HTMLElement} whole what is hidden where the widget is there
 * @param {string} name
 * @returns {Promise<boolean>} whether the widget is there
 */
export async function standIn(whole, name) {
  const live = () => document.querySelector(`.gv-root[data-live="${CSS.escape(name)}"]`);
  // What JupyterLab shows in place of a widget whose kernel is gone.
  const before = whole.closest(".jp-OutputArea-child")?.previousElementSibling;
  const give = () => {
    whole.hidden = Boolean(live());
    if (before) before.style.display = before.querySelector(".gv-root") ? "" : "none";
  };
  document.addEventListener("groundviz", give);
  whole.hidden = true;
  await new Promise((later) => setTimeout(later, live() ? 0 : PATIENCE));
  give();
  return whole.hidden;
}
