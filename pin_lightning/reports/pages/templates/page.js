"use strict";
// Tables that sort, pictures that enlarge, tabs, and interactive figures. No library, no network.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const dark = matchMedia("(prefers-color-scheme: dark)");

// --- Tables -------------------------------------------------------------------------------------

function keyOf(row, column, numeric) {
  const cell = row.cells[column];
  const number = parseFloat(cell.dataset.value);
  return numeric ? number : cell.innerText.trim();
}

function compare(one, other, sign) {
  if (typeof one === "string") {
    return sign * one.localeCompare(other, undefined, { numeric: true });
  }
  if (Number.isNaN(one) || Number.isNaN(other)) {
    return Number.isNaN(one) - Number.isNaN(other); // unknown last, whichever way
  }
  return sign * (one - other);
}

function sortBy(head) {
  const table = head.closest("table");
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const numeric = rows.some((row) => row.cells[head.cellIndex].dataset.value !== undefined);
  const keyed = rows.map((row) => [keyOf(row, head.cellIndex, numeric), row]);
  keyed.sort(([one], [other]) => compare(one, other, ascending ? 1 : -1));
  body.append(...keyed.map(([, row]) => row));
  all("th", table).forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

function shorten(table) {
  const more = document.createElement("button");
  const short = Number(table.dataset.short);
  more.type = "button";
  more.className = "more";
  const show = (few) => {
    table.classList.toggle("short", few);
    more.textContent = few ? `Show all ${table.tBodies[0].rows.length}` : `Show ${short}`;
  };
  more.addEventListener("click", () => show(!table.classList.contains("short")));
  show(true);
  table.parentElement.after(more);
}

all("th button").forEach((button) => {
  button.addEventListener("click", () => sortBy(button.parentElement));
});
all("table[data-short]").forEach(shorten);

// --- Pictures -----------------------------------------------------------------------------------

const dialog = document.getElementById("zoom");

function enlarge(source) {
  const copy = source.firstElementChild.cloneNode(true);
  const holder = dialog.querySelector(".enlarged");
  holder.className = `enlarged ${source.className.replace("zoom", "")}`;
  holder.replaceChildren(copy);
  dialog.showModal();
}

all(".zoom").forEach((one) => one.addEventListener("click", () => enlarge(one)));
dialog.addEventListener("click", () => dialog.close()); // anywhere; Escape does it, too

// --- Interactive figures ------------------------------------------------------------------------

function themed(layout, width) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line] = ["--ink", "--line"].map((name) => style.getPropertyValue(name).trim());
  const axis = { color: ink, gridcolor: line, zerolinecolor: line, showbackground: false };
  const scene = { ...layout.scene };
  for (const name of ["xaxis", "yaxis", "zaxis"]) {
    scene[name] = { ...scene[name], ...axis };
  }
  const clear = "rgba(0,0,0,0)";
  const narrow = width < 500;
  const font = { ...layout.font, color: ink, size: narrow ? 10 : 12 };
  const above = { orientation: "h", x: 0, y: 1, xanchor: "left", yanchor: "bottom" };
  const legend = { ...layout.legend, ...(narrow ? above : {}) };
  const size = { autosize: true, width: undefined, height: undefined };
  return { ...layout, ...size, scene, font, legend, paper_bgcolor: clear, plot_bgcolor: clear };
}

function draw(element) {
  const source = document.querySelector(`[data-scene="${element.id}"]`);
  const figure = JSON.parse(source.textContent);
  const layout = themed(figure.layout ?? {}, element.clientWidth);
  const config = { displayModeBar: false, responsive: true };
  Plotly.react(element, { ...figure, layout, config });
  element.classList.add("drawn");
}

// Drawn when first seen: each one takes a while, and memory of the graphics card.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    seen.unobserve(entry.target);
    draw(entry.target);
  }
});
all(".scene").forEach((one) => seen.observe(one));
dark.addEventListener("change", () => all(".scene.drawn").forEach(draw));

// --- Tabs ---------------------------------------------------------------------------------------

function choose(tab) {
  for (const one of all("[role=tab]", tab.parentElement)) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", chosen);
    one.tabIndex = chosen ? 0 : -1;
    document.getElementById(one.getAttribute("aria-controls")).classList.toggle("off", !chosen);
  }
}

function step(event) {
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (way) {
    const tabs = all("[role=tab]", event.currentTarget);
    const next = tabs[(tabs.indexOf(document.activeElement) + way + tabs.length) % tabs.length];
    next.focus();
    choose(next);
  }
}

all("[role=tablist]").forEach((list) => {
  all("[role=tab]", list).forEach((tab) => tab.addEventListener("click", () => choose(tab)));
  list.addEventListener("keydown", step);
  choose(list.querySelector("[role=tab]"));
});

// --- Landmarks of a volume ----------------------------------------------------------------------

for (const volume of all(".volume")) {
  const mark = (event, on) => {
    const row = event.target.closest("tbody tr");
    const name = row?.cells[0].innerText.trim();
    all(".mark", volume).forEach((one) => {
      one.classList.toggle("lit", on && one.dataset.landmark === name);
    });
  };
  volume.addEventListener("mouseover", (event) => mark(event, true));
  volume.addEventListener("mouseleave", (event) => mark(event, false));
}

// --- Paper --------------------------------------------------------------------------------------

let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  closed.forEach((one) => (one.open = true));
});
addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
