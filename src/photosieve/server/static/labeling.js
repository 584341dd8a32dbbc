// Label mode: the most informative photos, one after the other; one press saves and goes on.

import { ask, byId, make } from "./api.js";
import * as labels from "./labels.js";
import { learn } from "./learn.js";
import { ticks } from "./ticks.js";
import { chooser, inOrder, keep, kept } from "./vocabularies.js";

const MOST_PROPOSALS = 48;
const place = byId("labeling");
const skipped = new Set();
const done = []; // photos of this session, to go back to
let words = []; // labels in the order of their keys, which stays while photos are labeled
let facts = [];
let totals = { listed: 0, photos: 0 };
let checking = ""; // the one label that likely photos are checked for
let round = 0; // of the photos asked for: answers that come late are dropped
let controls = null;

export async function begin() {
  if (controls) return hold(); // it is in progress
  skipped.clear();
  done.length = 0;
  message("Choosing the most informative photos…");
  try {
    const [known, health] = await Promise.all([learnFacts(), ask("health")]);
    totals.photos = health.photos;
    const used = known.filter((fact) => fact.yes || fact.no);
    // Labels that only the sieve knows: all of another collection, or the old names of a few.
    const named = used.length * 2 > known.length ? used : known;
    words = named.length ? inOrder(named.map((fact) => fact.label), kept()) : kept();
  } catch (error) {
    return trouble(error, begin);
  }
  if (words.length) return next();
  place.replaceChildren(await chooser((chosen) => { words = chosen; keep(words); next(); }));
}

// Labels were renamed or came in: begin anew.
labels.onChange((changed) => {
  if (changed.length) return;
  round += 1;
  controls = null;
});

// Whether there is something that leaving would lose: nothing is, as each photo is saved.
async function learnFacts() {
  const [found, known] = await Promise.all([ask("labels/vocabulary"), ask("labels")]);
  facts = found;
  totals.listed = known.listed;
  return facts;
}

function message(text) {
  place.replaceChildren(make("p", { class: "soft", role: "status" }, text));
}

function trouble(error, again) {
  controls = null;
  place.replaceChildren(make("div", { class: "empty" }, make("h1", {}, "No photos could be proposed"), make("p", {}, error.message),
    make("button", { type: "button", onclick: again }, "Try again")));
}

// Asks anew for each photo, so that guesses come from all photos labeled before it.
async function next() {
  const own = ++round;
  const asked = new URLSearchParams({ limit: String(Math.min(skipped.size + 2, MOST_PROPOSALS)) });
  if (checking) asked.set("label", checking);
  else for (const word of words.slice(0, 200)) asked.append("word", word);
  let found;
  try {
    found = await ask(`proposals?${asked}`);
  } catch (error) {
    return own === round && trouble(error, next);
  }
  if (own !== round) return;
  const left = found.filter((one) => !skipped.has(one.id));
  if (!left.length && found.length) { // all were passed over, and come again
    skipped.clear();
    left.push(...found);
  }
  const [photo, after] = left;
  if (after) new Image().src = after.photo; // likely the next one
  if (photo) return show(photo, photo.suggested);
  controls = null;
  place.replaceChildren(make("div", { class: "empty" },
    make("h1", {}, checking ? `No more photos to check for “${checking}”` : "Every photo has labels"),
    make("p", {}, checking ? "" : "Learn, and the search uses them. Photos that are kept for testing are not asked for."),
    checking ? make("button", { type: "button", class: "main", onclick: () => check("") }, "Label more photos")
      : make("button", { type: "button", class: "main", onclick: learn }, "Learn now"),
    make("p", { class: "small" }, "A label may be open on photos that were labeled before it was added: ", choice())));
}

function check(label) {
  checking = label;
  skipped.clear();
  next();
}

function show(photo, guesses) {
  const image = make("img", { src: photo.photo, alt: photo.name });
  image.addEventListener("error", () => image.replaceWith(make("p", { class: "broken" }, "This photo cannot be shown. Skip it.")));
  const side = make("div", { class: "side" }, progress(), ...(checking ? question(photo) : all(photo, guesses)),
    make("p", { class: "soft small" }, `${photo.group} · ${photo.name}`));
  place.replaceChildren(make("div", { class: "two" }, make("div", { class: "photo" }, image), side));
  hold();
}

// Enter saves, wherever the focus was.
function hold() {
  if (matchMedia("(pointer: fine)").matches) controls.save.focus({ preventScroll: true });
}

// All labels at once.
function all(photo, guesses) {
  const list = ticks(photo, words, guesses, facts, (fresh) => { words = [...words, ...fresh]; keep(words); });
  const input = make("input", { list: "known", maxlength: "300", autocomplete: "off", placeholder: "more labels, with commas", "aria-label": `More labels of ${photo.name}` });
  const save = make("button", { class: "main" }, "Save, and next ", make("kbd", {}, "Enter"));
  const form = make("form", { class: "stack", onsubmit: (event) => {
    event.preventDefault();
    const typed = Boolean(input.value.trim());
    list.take(input.value);
    input.value = "";
    if (!typed) answer(photo, list.answer());
    else save.focus();
  } }, input, make("div", { class: "buttons" }, save, ...others(photo)));
  controls = { save, input, press: list.press, photo };
  return [make("h1", {}, "What is on this photo?"),
    guesses.length ? make("p", { class: "soft" }, "Dashed labels are guesses: correct them.") : null,
    list.element, form,
    make("p", { class: "soft small" }, list.hidden ? `Saved as yes or no for the ${words.length - list.hidden} labels shown, and not for ${list.hidden} more.` : "Saved as yes or no for the labels shown; labels that you add later stay open.")].filter(Boolean);
}

// One label, on the photos that are likely to show it.
function question(photo) {
  const say = (yes) => answer(photo, { yes: yes ? [checking] : [], no: yes ? [] : [checking] });
  const save = make("button", { type: "button", class: "main", onclick: () => say(true) }, "Yes ", make("kbd", {}, "Y"));
  controls = { save, photo, say };
  return [make("h1", {}, `Does this photo show “${checking}”?`),
    make("div", { class: "buttons" }, save, make("button", { type: "button", onclick: () => say(false) }, "No ", make("kbd", {}, "N")), ...others(photo))];
}

const others = (photo) => [
  make("button", { type: "button", onclick: () => skip(photo) }, "Skip ", make("kbd", {}, "S")),
  make("button", { type: "button", disabled: !done.length, onclick: back }, "Back ", make("kbd", {}, "B")),
];

function skip(photo) {
  skipped.add(photo.id);
  next();
}

async function answer(photo, said) {
  for (const button of place.querySelectorAll(".side button")) button.disabled = true; // one press, one save
  if (await labels.edit([photo.id], said.yes, said.no, { quiet: true })) {
    done.push({ photo, said });
    await learnFacts().catch(() => {});
    await next();
  } else {
    for (const button of place.querySelectorAll(".side button")) button.disabled = false;
  }
}

// Take the last photo back, with the labels that were ticked.
async function back() {
  const last = done.at(-1);
  if (!last || !(await labels.undo())) return;
  done.pop();
  round += 1;
  await learnFacts().catch(() => {});
  show(last.photo, last.said.yes);
}

function choice() {
  const list = make("select", { "aria-label": "Labels to ask for", onchange: () => check(list.value) },
    make("option", { value: "" }, "All labels"), ...words.map((word) => make("option", { value: word }, `Check “${word}”`)));
  list.value = checking;
  return list;
}

// How many photos are labeled, and which labels have enough of them.
function progress() {
  const ready = facts.filter((fact) => fact.yes && !fact.wanted).length;
  const named = words.length;
  return make("div", { class: "progress" },
    make("div", { class: "row" }, make("span", {}, make("b", {}, String(totals.listed)), ` of ${totals.photos} photos labeled`), choice()),
    make("progress", { max: String(Math.max(named, 1)), value: String(ready), "aria-label": "Labels with enough photos" }),
    make("p", { class: "soft small" }, `${ready} of ${named} labels have enough photos: 5 each, from 2 buildings where there are several. `,
      ready ? make("button", { type: "button", class: "link", onclick: learn }, "Learn now") : ""));
}

document.addEventListener("keydown", (event) => {
  if (!controls || place.hidden || event.target.closest("dialog, select, #search") || document.querySelector("dialog[open]")) return;
  if (event.target.tagName === "INPUT") {
    if (event.key === "Escape") controls.save.focus();
    return;
  }
  const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  if (!undoes && (event.ctrlKey || event.metaKey || event.altKey)) return;
  const key = event.key.toLowerCase();
  if (undoes || key === "b") back();
  else if (/^[1-9]$/.test(key) && controls.press) controls.press(Number(key) - 1);
  else if (key === "s") skip(controls.photo);
  else if (controls.say && (key === "y" || key === "n")) controls.say(key === "y");
  else if (key === "a" && controls.input) controls.input.focus();
  else if (key === "enter" && event.target === document.body && !controls.say) controls.save.click();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
