/** Parts of the page. Words of a record enter it as text, never as markup. */

const TAKES_KEYS = /^(select|input|button|summary)$/;

/**
 * An element with attributes, event listeners ("onclick") and children.
 *
 * @param {string} tag
 * @param {Object<string, any>} [attributes] left out where false or missing
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  // JupyterLab would take letters typed here for its own commands, such as "cut this cell".
  if (TAKES_KEYS.test(tag) || "tabindex" in attributes) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export const button = (name, onclick, more = {}) =>
  element("button", { type: "button", onclick, ...more }, name);

/** Set a text that has changed, so that a screen reader hears of no other. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Give the style sheet a value, `--gv-` and its name. */
export function setValue(node, name, value) {
  node.style.setProperty(`--gv-${name}`, value);
}
