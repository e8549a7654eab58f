// Elements without HTML: names from files only ever become text.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, { on = {}, dataset = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) {
      node.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  Object.assign(node.dataset, dataset);
  Object.entries(on).forEach(([event, handler]) => node.addEventListener(event, handler));
  node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return node;
}

/** An element with attributes, `on` listeners, `dataset` and children; text is never parsed. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for drawings. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** A button with a text, which says its key. */
export function button(text, onClick, { key = null, ...properties } = {}) {
  const hint = key ? el("kbd", { "aria-hidden": "true" }, key) : null;
  return el("button", { type: "button", on: { click: onClick }, ...properties }, text, hint);
}

/** Text of an element, changed only if it differs, so that nothing is read aloud twice. */
export function say(node, text) {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/** A modal dialog; resolves with the value that it was closed with. */
export function ask(title, content, choices) {
  const dialog = el("dialog", { class: "ask", "aria-label": title });
  const close = (value) => () => dialog.close(value);
  const buttons = choices.map(([value, text, kind = ""]) => button(text, close(value), { class: kind }));
  dialog.append(el("h2", {}, title), ...[content].flat(), el("div", { class: "choices" }, buttons));
  document.body.append(dialog);
  dialog.showModal();
  dialog.scrollTop = 0;
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}
