// The dialog of all labels: how many photos each has; rename, merge, split, delete, undo.

import { ask, byId, failed, make, sameLabel } from "./api.js";
import { dialog } from "./exchange.js";
import * as labels from "./labels.js";

const MOST_SPLIT = 200;
const box = make("dialog", { id: "words", "aria-labelledby": "words-title" });
document.body.append(box);
const chosen = new Set();
let said = ""; // by the last change; a message would be behind the dialog
const photos = (count) => `${count} ${count === 1 ? "photo" : "photos"}`;

async function open() {
  chosen.clear();
  said = "";
  try {
    await draw();
  } catch (error) {
    failed(error);
  }
}
byId("vocabulary")?.addEventListener("click", open);

async function draw() {
  const facts = await ask("labels/vocabulary");
  if (!facts.length) return dialog(box, "Labels", make("p", {}, "There are no labels yet: press Label to start."));
  const merge = make("button", { type: "button", disabled: true, onclick: () => merged(facts) }, "Merge");
  const update = () => { merge.disabled = chosen.size < 2; merge.textContent = chosen.size < 2 ? "Merge" : `Merge ${chosen.size}`; };
  const row = (fact) => {
    const pick = make("input", { type: "checkbox", "aria-label": `Choose ${fact.label}`, onchange: () => { chosen[pick.checked ? "add" : "delete"](fact.label); update(); } });
    pick.checked = chosen.has(fact.label);
    const here = fact.yes || fact.no;
    const action = (text, does) => make("button", { type: "button", class: "link", "aria-label": `${text} ${fact.label}`, disabled: !here, onclick: () => does(fact, facts) }, text);
    return make("tr", { "data-word": fact.label }, make("td", {}, make("label", { class: "check" }, pick, fact.label)),
      make("td", {}, String(fact.yes)), make("td", {}, String(fact.no)), make("td", {}, standing(fact)),
      make("td", { class: "actions" }, action("Rename", rename), fact.yes > 1 ? action("Split", split) : null, action("Delete", remove)));
  };
  dialog(box, "Labels",
    make("div", { class: "buttons" }, merge, make("button", { type: "button", onclick: undo }, "Undo the last change"), make("span", { role: "status", class: "soft small" }, said)),
    make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...["Label", "Yes", "No", "Learning", ""].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...facts.map(row)))));
  update();
}

function standing(fact) {
  if (fact.yes && fact.wanted) return `${fact.wanted} more for enough`;
  if (!fact.yes) return fact.learned ? "known to the sieve" : "no photo yet";
  return fact.learned ? "learned" : "enough to learn";
}

// Change all photos, and show the list as it is then.
async function change(action, body) {
  const done = await ask(`labels/${action}`, { method: "POST", body });
  labels.reload(done.labels);
  said = `${photos(done.changed)} changed.`;
  await after();
}

async function undo() {
  try {
    const back = await ask("labels/undo", { method: "POST" });
    labels.reload(back.labels);
    said = `Undone on ${photos(back.photos.length)}.`;
  } catch (error) {
    said = error.message;
  }
  await after();
}

async function after() {
  chosen.clear();
  if (box.open) await draw().catch(failed);
}

// Ask for a name in place of the list.
function asks(title, about, value, button, act, ...more) {
  const input = make("input", { value, maxlength: "100", required: true, autocomplete: "off", placeholder: "name of the label", "aria-label": "Name" });
  const wrong = make("p", { class: "bad", role: "alert" });
  dialog(box, title, make("form", { class: "stack", onsubmit: async (event) => {
    event.preventDefault();
    event.submitter.disabled = true;
    wrong.textContent = "";
    try {
      await act(input.value.trim());
    } catch (error) {
      wrong.textContent = error.message;
      event.submitter.disabled = false;
    }
  } }, make("p", { class: "soft" }, about), input, ...more, wrong,
  make("div", { class: "buttons" }, make("button", { class: "main" }, button), make("button", { type: "button", onclick: () => draw().catch(failed) }, "Back"))));
  input.select();
}

function rename(fact, facts) {
  asks(`Rename “${fact.label}”`, `The new name goes into all labels files (${photos(fact.yes)}).`, fact.label, "Rename", (to) => {
    const other = facts.find((one) => sameLabel(one.label, to) && !sameLabel(one.label, fact.label) && (one.yes || one.no));
    return other ? change("merge", { labels: [fact.label, other.label], to }) : change("rename", { label: fact.label, to });
  });
}

function merged(facts) {
  const names = facts.filter((fact) => chosen.has(fact.label)).map((fact) => fact.label);
  asks(`Merge ${names.length} labels`, `${names.join(", ")} mean the same. Photos that have one of them get this name:`, names[0], "Merge", (to) => change("merge", { labels: names, to }));
}

function remove(fact) {
  dialog(box, `Delete “${fact.label}”?`, make("p", {}, `It is taken from ${photos(fact.yes)}, and from all that are known not to have it. You can undo this.`),
    make("div", { class: "buttons" }, make("button", { type: "button", class: "main", onclick: () => change("delete", { label: fact.label }).catch(failed) }, "Delete"),
      make("button", { type: "button", onclick: () => draw().catch(failed) }, "Back")));
}

// Some photos of a label get a new one.
async function split(fact) {
  try {
    const found = await ask(`photos?${new URLSearchParams({ label: fact.label, limit: String(MOST_SPLIT) })}`);
    const picked = new Set();
    const cell = (photo) => make("button", { type: "button", class: "cell", "aria-pressed": "false", "aria-label": photo.name, onclick: (event) => {
      const on = !picked.has(photo.id);
      picked[on ? "add" : "delete"](photo.id);
      event.currentTarget.setAttribute("aria-pressed", String(on));
    } }, make("img", { src: photo.thumbnail, alt: "", loading: "lazy" }));
    const all = found.photos.filter((photo) => (photo.labels || []).some((label) => sameLabel(label, fact.label)));
    asks(`Split “${fact.label}”`, "Choose the photos that get another label instead, and name it.", "", "Split",
      (into) => {
        if (!picked.size) throw new Error("Choose at least one photo.");
        return change("split", { label: fact.label, into, photos: [...picked] });
      }, make("div", { class: "cells" }, ...all.map(cell)));
  } catch (error) {
    failed(error);
  }
}
