// Keys and mouse in one dialog.

import { ask, el } from "../dom.js";
import { KEYS, MOUSE } from "../logic/keys.js";

function table(title, rows, tag) {
  const lines = rows.map(([what, does]) => el("tr", {}, el("th", { scope: "row" }, el(tag, {}, what)), el("td", {}, does)));
  return el("table", {}, el("caption", {}, title), el("tbody", {}, lines));
}

/** Show the keys; only one such dialog at a time. */
export function help() {
  if (document.querySelector("dialog[open]") === null) {
    const tables = KEYS.map(([title, rows]) => table(title, rows, "kbd"));
    const content = el("div", { class: "keys" }, tables, table("Mouse and fingers", MOUSE, "span"));
    ask("Keys", content, [["", "Close", "primary"]]);
  }
}
