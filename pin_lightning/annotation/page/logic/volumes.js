// The list of volumes: states in words, filters, and progress in one line.

export const STATES = {
  failed: { title: "Failed", mark: "✕" },
  new: { title: "New", mark: "○" },
  predicted: { title: "Predicted", mark: "◐" },
  in_work: { title: "Begun", mark: "✎" },
  corrected: { title: "Corrected", mark: "✔" },
  accepted: { title: "Accepted", mark: "✔" },
};

const DONE = new Set(["accepted", "corrected"]);

export const FILTERS = {
  open: { title: "To do", keeps: (one) => !DONE.has(one.state) },
  doubtful: { title: "Doubtful", keeps: (one) => !DONE.has(one.state) && one.doubts.length > 0 },
  done: { title: "Done", keeps: (one) => DONE.has(one.state) },
  failed: { title: "Failed", keeps: (one) => one.state === "failed" },
  all: { title: "All", keeps: () => true },
};

export const isDone = (volume) => DONE.has(volume.state);

/** Volumes of a filter whose names contain `text`; their order stays. */
export function chosen(volumes, filter, text = "") {
  const part = text.trim().toLocaleLowerCase();
  const named = (one) => one.name.toLocaleLowerCase().includes(part);
  return volumes.filter((one) => FILTERS[filter].keeps(one) && named(one));
}

/** "12 of 40 done, about 6 minutes left". */
export function progressText({ done, total, minutes_left: minutes }) {
  const counted = `${done} of ${total} done`;
  if (done >= total || minutes === null || minutes === undefined) {
    return counted;
  }
  if (minutes < 1) {
    return `${counted}, less than a minute left`;
  }
  const hours = minutes >= 90;
  const amount = Math.round(hours ? minutes / 60 : minutes);
  const unit = hours ? "hour" : "minute";
  return `${counted}, about ${amount} ${unit}${amount === 1 ? "" : "s"} left`;
}

/** The volume to do after one: the next of a list that is not done and can be opened, around its end; null without one. */
export function nextToDo(volumes, id) {
  const start = volumes.findIndex((one) => one.id === id) + 1;
  const turned = [...volumes.slice(start), ...volumes.slice(0, start)];
  return turned.find((one) => one.id !== id && one.readable !== false && !isDone(one))?.id ?? null;
}

/** Names, one a line or separated by commas, without empty and repeated ones. */
export function namesOf(text) {
  const names = text.split(/[\n,;]/).map((one) => one.trim());
  return [...new Set(names.filter(Boolean))];
}
