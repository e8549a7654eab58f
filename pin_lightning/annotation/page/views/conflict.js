// A volume that was saved elsewhere, too: what each side changed, and which is kept.

import { ask, el } from "../dom.js";
import { distance } from "../logic/frames.js";

function words(one) {
  if (!one || (one.position === null && !one.missing)) {
    return "not placed";
  }
  return one.missing ? "missing" : one.position.map((value) => value.toFixed(2)).join(", ");
}

function apart(one, other) {
  return one?.position && other?.position ? distance(one.position, other.position).toFixed(2) : "";
}

function row(name, saver, { mine, theirs }) {
  const [own, other] = [saver.mine, saver.theirs.landmarks].map((all) => all.find((one) => one.name === name));
  const cell = (one, changed) => el("td", { class: changed ? "changed" : "" }, words(one), changed ? " (changed)" : "");
  const cells = [cell(own, mine.has(name)), cell(other, theirs.has(name)), el("td", {}, apart(own, other))];
  return el("tr", {}, el("th", { scope: "row" }, name), cells);
}

function table(saver, found) {
  const names = saver.mine.map((one) => one.name).filter((name) => found.mine.has(name) || found.theirs.has(name));
  const head = ["Landmark", "Yours, mm", "Theirs, mm", "Apart, mm"].map((text) => el("th", { scope: "col" }, text));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, names.map((name) => row(name, saver, found)))));
}

function explanation(saver, found) {
  const count = (names) => `${names.size} landmark${names.size === 1 ? "" : "s"}`;
  const by = saver.theirs.by ? ` by ${saver.theirs.by}` : " in another tab, by another person or in 3D Slicer";
  const done = saver.theirs.done !== saver.done ? ` There it is ${saver.theirs.done ? "done" : "not done"}, here ${saver.done ? "done" : "not"}.` : "";
  return `${saver.name} was saved${by} after you opened it: ${count(found.theirs)} changed there, ${count(found.mine)} here, ${found.both.size} of them in two ways.${done}`;
}

/** Ask until it is decided; "" leaves it as it is. */
export async function decide(saver) {
  const found = saver.comparison();
  const choices = [["mine", "Keep mine"], ["theirs", "Take theirs"], ["", "Decide later"]];
  if (found.both.size === 0) {
    choices.unshift(["both", "Keep the changes of both", "primary"]);
  }
  const content = [el("p", {}, explanation(saver, found)), table(saver, found)];
  const choice = await ask("Changed in two places", content, choices);
  if (choice && saver.status === "conflict") {
    await saver.resolve(choice);
  }
  return choice;
}
