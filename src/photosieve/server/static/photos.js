// Photos: cards in a grid, and a dialog with one large photo.

import { alike, byId, canChange, failed, make, sameLabel } from "./api.js";
import * as labels from "./labels.js";

const selected = new Set();
const cards = new Map(); // by id: { photo, element }
let order = []; // ids as shown
let query = "";

export const has = (photo, label) => (photo.labels || []).some((own) => sameLabel(own, label));
const percent = (value) => value.toFixed(2);

// A query that is one plain word or phrase can be ticked right or wrong.
export const tickable = (text) => text.trim() && !/(^|\s)[-+\u2010-\u2015\u2212]|\||\s\+\s/.test(text);

function picture(url, name) {
  const image = make("img", { src: url, alt: name, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "broken", role: "img", "aria-label": name }, "cannot be shown")));
  return image;
}

function tags(photo) {
  if (photo.labels === null) return make("div", { class: "tags" }, "not labeled");
  if (!photo.labels.length) return make("div", { class: "tags" }, "none of the labels");
  return make("div", { class: "tags" }, ...photo.labels.map((label) =>
    make("span", { class: sameLabel(label, query) ? "tag hit" : "tag" }, label)));
}

function verdict(photo) {
  if (!canChange() || !tickable(query)) return null;
  const known = photo.labels !== null;
  const yes = known && has(photo, query);
  return make("div", { class: "verdict" },
    make("button", { type: "button", class: "yes", "aria-pressed": String(yes), "aria-label": `${photo.name} shows ${query}`,
      onclick: () => labels.edit([photo.id], [query.trim()], []) }, "✓ right"),
    make("button", { type: "button", class: "no", "aria-pressed": String(known && !yes), "aria-label": `${photo.name} does not show ${query}`,
      onclick: () => labels.edit([photo.id], [], [query.trim()]) }, "✕ wrong"));
}

function card(photo) {
  const pick = canChange() && make("input", { type: "checkbox", class: "pick", "aria-label": `Select ${photo.name}`, tabindex: "-1",
    onchange: () => toggle(photo.id) });
  const open = make("button", { type: "button", class: "open", "data-id": photo.id, "aria-label": `Open ${photo.name} of ${photo.group}`,
    onclick: () => show(photo.id) }, picture(photo.thumbnail, photo.name));
  const value = photo.probability ?? photo.score;
  const about = make("div", { class: "about" },
    make("div", { class: "line" }, make("span", { class: "name", title: `${photo.group}/${photo.name}` }, `${photo.name} · ${photo.group}`),
      value === undefined ? null : make("b", {}, percent(value))),
    tags(photo), verdict(photo));
  const element = make("article", { class: photo.kept === false ? "card out" : "card" }, open, about);
  if (pick) {
    pick.checked = selected.has(photo.id);
    element.prepend(pick);
  }
  element.classList.toggle("selected", selected.has(photo.id));
  return element;
}

export function fill(photos, cutText, text) {
  query = text;
  cards.clear();
  order = photos.map((photo) => photo.id);
  const shown = [];
  photos.forEach((photo, number) => {
    if (cutText && photo.kept === false && (number === 0 || photos[number - 1].kept !== false)) shown.push(make("p", { class: "rule" }, cutText));
    const element = card(photo);
    cards.set(photo.id, { photo, element });
    shown.push(element);
  });
  byId("results").replaceChildren(...shown);
}

labels.onChange((changed) => {
  for (const photo of changed) {
    const known = cards.get(photo.id);
    if (!known) continue;
    const held = known.element.contains(document.activeElement) ? document.activeElement : null;
    const place = held && (held.classList.contains("yes") ? ".yes" : held.classList.contains("no") ? ".no" : ".open");
    Object.assign(known.photo, photo);
    const element = card(known.photo);
    known.element.replaceWith(element);
    known.element = element;
    if (place) element.querySelector(place)?.focus();
  }
});

// --- selecting

function toggle(id) {
  if (!selected.delete(id)) selected.add(id);
  const known = cards.get(id);
  if (known) {
    known.element.classList.toggle("selected", selected.has(id));
    known.element.querySelector(".pick").checked = selected.has(id);
  }
  byId("selection").hidden = !selected.size;
  byId("selected").textContent = `${selected.size} selected`;
}

export function clear() {
  for (const id of [...selected]) toggle(id);
}

byId("clear").addEventListener("click", clear);
byId("bulk").addEventListener("submit", async (event) => {
  event.preventDefault();
  const label = byId("bulk-label").value.trim();
  if (!label) return byId("bulk-label").focus();
  const adds = event.submitter?.value !== "remove";
  if (await labels.edit([...selected], adds ? [label] : [], adds ? [] : [label])) {
    byId("bulk-label").value = "";
    clear();
  }
});

// --- keyboard: arrows move between photos, space selects, Enter opens

byId("results").addEventListener("keydown", (event) => {
  const id = event.target.dataset?.id;
  if (!id) return;
  const buttons = [...byId("results").querySelectorAll(".open")];
  const at = buttons.indexOf(event.target);
  const top = (button) => Math.round(button.getBoundingClientRect().top);
  const first = buttons.findIndex((button) => top(button) === top(buttons[at]));
  const after = buttons.findIndex((button, number) => number > at && top(button) > top(buttons[at]));
  const columns = after < 0 ? buttons.length - first : after - first;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (step) {
    event.preventDefault();
    buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)].focus();
  } else if (event.key === " " && canChange()) {
    event.preventDefault();
    toggle(id);
  }
});

// --- one photo, large

const box = byId("box");
let shownId = null;

function show(id) {
  shownId = id;
  const { photo } = cards.get(id);
  const why = photo.reason === undefined ? null : make("p", {},
    make("b", {}, photo.kept ? "It is in: " : "It is out: "), photo.reason, ".",
    make("br"), make("span", { class: "soft" }, `Probability ${percent(photo.probability)}, score ${photo.score.toFixed(3)}.`));
  const side = make("div", { class: "side" },
    make("h2", {}, photo.name), make("p", { class: "soft" }, photo.group, photo.test ? " – kept for testing, never learned from" : ""),
    why, editor(photo, photo.labels || [], (own) => labels.set(photo.id, own)),
    make("div", { class: "buttons" },
      make("button", { type: "button", onclick: () => step(-1), "aria-label": "The photo before" }, "←"),
      make("button", { type: "button", onclick: () => step(1), "aria-label": "The next photo" }, "→"),
      make("button", { type: "button", onclick: () => like(photo) }, "Photos like this"),
      make("button", { type: "button", onclick: () => box.close() }, "Close")));
  box.replaceChildren(make("div", { class: "two" }, picture(photo.photo, photo.name), side));
  if (!box.open) box.showModal();
}

function step(by) {
  const at = order.indexOf(shownId) + by;
  if (at >= 0 && at < order.length) show(order[at]);
}

async function like(photo) {
  try {
    const { photos } = await alike(photo.id);
    box.close();
    byId("cut").hidden = true;
    byId("start").hidden = true;
    fill(photos, null, "");
    byId("status").textContent = `Photos like ${photo.name}, most alike first.`;
  } catch (error) {
    failed(error);
  }
}

box.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
box.addEventListener("close", () => {
  cards.get(shownId)?.element.querySelector(".open").focus();
  shownId = null;
});

// Labels of one photo to toggle, and a place to write new ones. `save` gets all of them.
export function editor(photo, start, save, done) {
  if (!canChange()) return tags(photo);
  let own = [...start];
  const known = [...byId("known").options].map((option) => option.value);
  const toggles = make("div", { class: "toggles", role: "group", "aria-label": `Labels of ${photo.name}` });
  const draw = () => {
    const all = [...own, ...known.filter((label) => !own.some((one) => sameLabel(one, label)))].slice(0, 60);
    toggles.replaceChildren(...all.map((label) => make("button", { type: "button", class: "chip",
      "aria-pressed": String(own.some((one) => sameLabel(one, label))), onclick: () => flip(label) }, label)));
  };
  const flip = (label) => {
    own = own.some((one) => sameLabel(one, label)) ? own.filter((one) => !sameLabel(one, label)) : [...own, label];
    draw();
    if (!done) save(own);
    [...toggles.children].find((chip) => sameLabel(chip.textContent, label))?.focus();
  };
  const input = make("input", { list: "known", maxlength: "300", autocomplete: "off", placeholder: "more labels, with commas", "aria-label": `More labels of ${photo.name}` });
  const form = make("form", { class: "stack", onsubmit: (event) => {
    event.preventDefault();
    const more = input.value.split(",").map((label) => label.trim()).filter(Boolean);
    own = [...own, ...more.filter((label) => !own.some((one) => sameLabel(one, label)))];
    input.value = "";
    draw();
    if (!done || !more.length) save(own);
  } }, input, make("button", { class: "main" }, done || "Add"));
  draw();
  return make("div", { class: "stack" }, toggles, form);
}
