// Accepting a volume, and which one comes next.

import * as api from "../api.js";
import { ask, el } from "../dom.js";
import { nextToDo } from "../logic/volumes.js";

const PATIENCE_MS = 3000; // for a save, before the next volume is opened
const NAMED = 8;

function asked(open) {
  const names = open.slice(0, NAMED).map((one) => one.name).join(", ");
  const more = open.length > NAMED ? ` and ${open.length - NAMED} more` : "";
  const text = `Neither placed nor missing: ${names}${more}.`;
  return ask("Accept without them?", el("p", {}, text), [["accept", "Accept", "primary"], ["", "Go back"]]);
}

async function goOn(app, id) {
  const given = await api.next("doubt").catch(() => null);
  const next = given?.id && given.id !== id ? given.id : nextToDo(app.volumes, id);
  location.hash = next ? `#/volume/${next}` : "#/";
}

/** Accept a volume and open the next doubtful one; one that is done is opened again. */
export async function finish(workspace, app) {
  const { saver } = workspace;
  if (saver.done) {
    workspace.end(false);
    return;
  }
  const open = workspace.landmarks.filter((one) => one.position === null && !one.missing);
  if (open.length && (await asked(open)) !== "accept") {
    return;
  }
  workspace.end(true);
  await Promise.race([saver.flush(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  if (saver.status !== "conflict" && saver.status !== "refused") {
    await goOn(app, saver.id);
  }
}
