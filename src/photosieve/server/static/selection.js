// The selected photos, which stay selected through other searches, and the bar that changes them.

import { ask, byId, canChange, failed, make } from "./api.js";
import { files } from "./exchange.js";
import * as labels from "./labels.js";

const MOST = 1000; // as many as one change of labels may have
const selected = new Set();
const listeners = [];
const bar = byId("selection");
let shown = []; // ids in the order of the grid
let query = ""; // the plain word or phrase that is shown; empty for anything else
let anchor = null; // where a range starts
let painting = null; // while a pointer is drawn over photos: whether it selects

export const isSelected = (id) => selected.has(id);
export const onSelection = (listener) => listeners.push(listener); // listener(ids that changed)

// The grid says which photos it shows, and for which plain query, if it is one.
export function showing(ids, plain) {
  shown = ids;
  query = plain;
  draw();
}

function draw() {
  bar.hidden = !selected.size;
  const here = shown.filter((id) => selected.has(id)).length;
  const elsewhere = selected.size - here;
  byId("selected").textContent = `${selected.size} selected${elsewhere ? `, ${elsewhere} of them not shown` : ""}`;
  for (const button of bar.querySelectorAll("[data-verdict]")) button.hidden = !query;
  byId("results").classList.toggle("selecting", selected.size > 0);
}

function set(ids, on) {
  const changed = ids.filter((id) => selected.has(id) !== on);
  for (const id of changed) {
    if (!on) selected.delete(id);
    else if (selected.size < MOST) selected.add(id);
  }
  draw();
  for (const listener of listeners) listener(changed);
}

const between = (a, b) => {
  const [from, to] = [shown.indexOf(a), shown.indexOf(b)].sort((x, y) => x - y);
  return from < 0 ? [b] : shown.slice(from, to + 1);
};

// Select or deselect a photo; with the shift key all from the last one on.
export function toggle(id, event) {
  const on = !selected.has(id);
  set(event?.shiftKey && anchor ? between(anchor, id) : [id], on);
  anchor = id;
}

export const all = () => canChange() && set(shown, true);
export const clear = () => { anchor = null; set([...selected], false); };

// A pointer that starts on a checkbox, or anywhere on a photo while photos are selected, and is drawn
// over others, does the same to all of them. Touch scrolls instead.
const photoAt = (target) => target.closest?.("[data-photo]")?.dataset.photo;
byId("results").addEventListener("pointerdown", (event) => {
  if (event.pointerType === "touch" || event.button !== 0 || !canChange()) return;
  const id = photoAt(event.target);
  if (id && (event.target.matches(".pick") || selected.size)) painting = { from: id, on: !selected.has(id), moved: false };
});
byId("results").addEventListener("pointerover", (event) => {
  const id = photoAt(event.target);
  if (!painting || !id || (id === painting.from && !painting.moved)) return;
  painting.moved = true;
  set(between(painting.from, id), painting.on);
  anchor = id;
});
addEventListener("pointerup", () => {
  if (painting?.moved) addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", stop, { capture: true }), 0);
  painting = null;
});
const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
byId("results").addEventListener("dragstart", (event) => { if (painting) event.preventDefault(); });

// While photos are selected, a click on one selects, and does not open it.
byId("results").addEventListener("click", (event) => {
  const id = photoAt(event.target);
  if (!id || !event.target.closest(".open") || !(selected.size || event.shiftKey) || event.detail === 0) return;
  stop(event);
  toggle(id, event);
}, true);

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog") || byId("searching").hidden) return;
  if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey) && shown.length && canChange()) all();
  else if (event.key === "Escape" && selected.size) clear();
  else return;
  event.preventDefault();
});

async function edit(add, remove) {
  if (await labels.edit([...selected], add, remove)) clear();
}

const label = make("input", { id: "bulk-label", list: "known", placeholder: "label", maxlength: "100", autocomplete: "off", "aria-label": "Label" });
const form = make("form", { id: "bulk", onsubmit: (event) => {
  event.preventDefault();
  const name = label.value.trim();
  if (!name) return label.focus();
  const adds = event.submitter?.value !== "remove";
  edit(adds ? [name] : [], adds ? [] : [name]);
  label.value = "";
} }, label, make("button", { name: "add", value: "add" }, "Add"), make("button", { name: "add", value: "remove", title: "Say that these photos do not show it" }, "Not"));
const verdict = (text, does) => make("button", { type: "button", "data-verdict": true, hidden: true, onclick: () => does() }, text);
bar.replaceChildren(
  make("button", { type: "button", id: "clear", class: "round plain", "aria-label": "Clear the selection", title: "Clear (Esc)", onclick: clear }, "✕"),
  make("b", { id: "selected", role: "status" }),
  make("button", { type: "button", class: "plain", onclick: all, title: "Ctrl A" }, "All shown"),
  make("span", { class: "gap" }),
  verdict("✓ right", () => edit([query], [])), verdict("✕ wrong", () => edit([], [query])),
  canChange() ? form : "",
  make("button", { type: "button", id: "save-selected", onclick: () => files("Download the selected photos", { id: [...selected] }) }, "Download"));
// In the place of the labels in the header, it covers nothing.
document.querySelector(".top").append(bar);
