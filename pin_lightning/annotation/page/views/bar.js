// The bar above a volume: which one it is, whether it is saved, undo, views, and accept.

import { button, el, say } from "../dom.js";
import { chip } from "./list.js";
import { SaveBadge } from "./save_badge.js";
import { WindowMenu } from "./window_menu.js";

export class Bar {
  /** @param act called with the name of an action of keys.js; @param window for WindowMenu */
  constructor(act, window) {
    const tool = (text, action, options) => button(text, () => act(action), options);
    this.name = el("h1", { class: "volume-name" });
    this.state = el("span", { class: "state" });
    this.badge = new SaveBadge(() => act("save"));
    this.undo = tool("↶", "undo", { "aria-label": "Undo", title: "Undo (Ctrl + Z)" });
    this.redo = tool("↷", "redo", { "aria-label": "Redo", title: "Redo (Ctrl + Shift + Z)" });
    this.axes = tool("", "axes", { title: "Anatomical axes, or those of the scanner (X)" });
    this.window = new WindowMenu(window.change, window.reset);
    this.help = tool("?", "help", { "aria-label": "Keys", title: "Keys (?)" });
    this.accept = tool("Accept", "accept", { class: "primary", key: "A" });
    this.position = el("span", { class: "position" });
    const back = el("a", { href: "#/", class: "back", title: "All volumes (L)" }, "← Volumes");
    const steps = el("span", { class: "steps" }, tool("‹", "previousVolume", { "aria-label": "Previous volume", title: "Previous volume (B)" }), this.position, tool("›", "nextVolume", { "aria-label": "Next volume", title: "Next volume (N)" }));
    const views = el("span", { class: "group" }, tool("Close", "near", { key: "F", title: "The landmark up close" }), tool("Whole", "whole", { key: "0", title: "The whole volume" }), this.axes, this.window.element);
    this.element = el("header", { class: "bar" }, back, el("div", { class: "who" }, this.name, this.state), this.badge.element, el("span", { class: "space" }), steps, el("span", { class: "group" }, this.undo, this.redo), views, this.help, this.accept);
  }

  draw({ saver, history }, { frameName, frames, position }) {
    say(this.name, saver.name);
    this.name.title = saver.name;
    this.state.replaceChildren(chip(saver.state));
    this.badge.draw(saver);
    this.undo.disabled = !history.canUndo;
    this.redo.disabled = !history.canRedo;
    say(this.axes, frameName === "anatomical" ? "Anatomical axes" : "Scanner axes");
    this.axes.disabled = frames.length < 2;
    say(this.position, position);
    this.accept.firstChild.textContent = saver.done ? "Reopen" : "Accept";
    this.accept.classList.toggle("primary", !saver.done);
  }
}
