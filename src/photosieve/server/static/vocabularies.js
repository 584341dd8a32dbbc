// Words to start from, for a collection without labels. Chosen words are kept by the browser: until the
// first photo is saved they are nowhere else, and then their order is that of the keys.

import { make, sameLabel } from "./api.js";

const KEY = `photosieve-words ${location.pathname}`;
export const MOST_WORDS = 60;

export function kept() {
  try {
    const words = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(words) ? words.filter((word) => typeof word === "string").slice(0, MOST_WORDS) : [];
  } catch {
    return []; // nothing is kept, or the browser keeps nothing
  }
}

export function keep(words) {
  try {
    localStorage.setItem(KEY, JSON.stringify(words.slice(0, MOST_WORDS)));
  } catch {
    // private windows and full disks: the words last as long as the page
  }
}

// Labels in the order in which they were chosen, so that each keeps its key; the others follow.
export function inOrder(labels, chosen) {
  const place = (label) => chosen.findIndex((word) => sameLabel(word, label)) + 1 || chosen.length + 1;
  return [...labels].sort((a, b) => place(a) - place(b));
}

// The labels in a text with commas, without those that are there already.
export function split(text, there = []) {
  const words = [];
  for (const word of text.split(/[,;\n]/).map((part) => part.replace(/\s+/g, " ").trim().slice(0, 100))) {
    if (word && ![...there, ...words].some((one) => sameLabel(one, word))) words.push(word);
  }
  return words;
}

// A form that chooses words; `start(words)` is called with at least one.
export async function chooser(start) {
  const groups = await fetch("static/vocabularies.json").then((answer) => answer.json()).catch(() => ({}));
  const chosen = new Set();
  const begin = make("button", { class: "main", disabled: true }, "Start labeling");
  const input = make("input", { id: "own-words", maxlength: "1000", autocomplete: "off", placeholder: "sofa, fireplace, sea view", oninput: () => update() });
  const update = () => { begin.disabled = !chosen.size && !split(input.value).length; };
  const chip = (word) => make("button", { type: "button", class: "chip", "aria-pressed": "false", "data-word": word,
    onclick: () => flip(word, !chosen.has(word)) }, word);
  const flip = (word, on) => {
    chosen[on ? "add" : "delete"](word);
    for (const one of form.querySelectorAll("[data-word]")) {
      if (one.dataset.word === word) one.setAttribute("aria-pressed", String(on));
    }
    update();
  };
  const group = ([name, words]) => make("fieldset", {}, make("legend", {}, name), make("div", { class: "toggles" }, ...words.map(chip)),
    make("button", { type: "button", class: "link", onclick: () => {
      const all = words.every((word) => chosen.has(word));
      for (const word of words) flip(word, !all);
    } }, `All of ${name.toLowerCase()}`));
  const form = make("form", { class: "chooser stack", onsubmit: (event) => {
    event.preventDefault();
    const words = [...chosen];
    start([...words, ...split(input.value, words)]);
  } },
  make("h1", {}, "What do you want to search for?"),
  make("p", { class: "soft" }, "Choose a few words, or write your own. You can add, rename and delete words at any time."),
  ...Object.entries(groups).map(group),
  make("label", { for: "own-words" }, "Your own words, with commas"), input,
  make("div", { class: "buttons" }, begin));
  return form;
}
