// Starts the page: which view is shown, what the server tells, what happens when it is left.

import { RequestError } from "./api.js";
import { App } from "./app.js";
import { el } from "./dom.js";
import { listen } from "./live.js";
import { BeginView } from "./views/begin.js";
import { ListView } from "./views/list.js";
import { VolumeView } from "./views/volume.js";

const SETTLE_MS = 250; // many volumes may change at once
const page = document.getElementById("page");
const away = document.getElementById("away");
const app = new App();
let views = null;
let shown = null;
let timer = null;

/** The view that an address names: #/begin, #/volume/ID, #/volume/ID/LANDMARK, or the list. */
function viewOf(hash) {
  const [, name, ...rest] = hash.split("/");
  if (app.isNew || name === "begin") {
    return [views.begin];
  }
  return name === "volume" && rest[0] ? [views.volume, ...rest.map(decodeURIComponent)] : [views.list];
}

async function show() {
  const [view, ...place] = viewOf(location.hash);
  if (shown !== view) {
    shown?.leave();
    page.replaceChildren(view.element);
    shown = view;
  }
  await view.enter(...place);
}

function refresh() {
  clearTimeout(timer);
  timer = setTimeout(() => Promise.all([app.readVolumes(), app.readSession()]).catch(() => {}), SETTLE_MS); // what is advised changes, too
}

function hear() {
  listen({
    connected: (now) => {
      away.hidden = now;
      if (now) {
        app.retry();
        refresh();
        shown?.back?.();
      }
    },
    volume: (news) => {
      app.heard(news);
      refresh();
    },
    progress: (progress) => {
      app.progress = progress;
      app.tell("progress");
    },
    training: (status) => {
      app.setTraining(status);
      app.tell("training");
      refresh();
    },
    session: ({ change = null }) => {
      app.named(change);
      refresh();
    },
  });
}

function fail(error) {
  const closed = error instanceof RequestError && [401, 403].includes(error.status);
  const advice = closed
    ? "Open the address that the server printed, with its token."
    : "Start `pin-lightning serve` again, then load this page again.";
  page.replaceChildren(el("section", { class: "card failure" }, el("h1", {}, "No answer"), el("p", {}, error.message), el("p", {}, advice)));
}

addEventListener("beforeunload", (event) => {
  if (app.unsaved.length > 0) {
    event.preventDefault();
  }
});
addEventListener("online", () => app.retry());

if (location.search) {
  history.replaceState(null, "", location.pathname + location.hash); // a token stays in nobody's history
}

try {
  await app.begin();
  views = { begin: new BeginView(app), list: new ListView(app), volume: new VolumeView(app) };
  addEventListener("hashchange", show);
  await show();
  hear();
} catch (error) {
  fail(error);
}
