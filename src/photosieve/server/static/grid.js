// The grid of photos: cards in order, more of them when the end comes near, and the arrow keys.

import { byId, canChange, failed, make } from "./api.js";
import { card, known, tickable } from "./cards.js";
import { edit, onChange } from "./labels.js";
import { isSelected, onSelection, showing, toggle } from "./selection.js";

const cards = new Map(); // by id: { photo, element }
const results = byId("results");
let query = "";
let openPhoto = () => {};
let more = null; // gives the next photos, or null after the last
let loading = false;

export const onOpen = (listener) => { openPhoto = listener; };
export const photos = () => [...cards.values()].map(({ photo }) => photo);
export const photoOf = (id) => cards.get(id)?.photo;
export const queryShown = () => query;
export const focusPhoto = (id) => cards.get(id)?.element.querySelector(".open").focus();

// Show photos, after those that are there already if `after` is true. Where photos that the cut keeps
// are followed by others, `rule` stands between them. `next` gives more photos, or null.
export function fill(list, { text = "", rule = null, next = null, after = false } = {}) {
  if (!after) {
    cards.clear();
    results.replaceChildren();
  }
  query = text;
  more = next;
  let last = [...cards.values()].at(-1)?.photo;
  for (const photo of list) {
    if (cards.has(photo.id)) continue;
    if (rule && photo.kept === false && last?.kept !== false) results.append(make("p", { class: "rule" }, rule));
    const element = card(photo, query, openPhoto);
    cards.set(photo.id, { photo, element });
    results.append(element);
    last = photo;
  }
  showing([...cards.keys()], tickable(query) ? query.trim() : "");
  approach();
}

// Show elements that are no photos, such as the tiles of buildings.
export function fillWith(elements, next = null, after = false) {
  if (!after) {
    cards.clear();
    query = "";
    results.replaceChildren();
  }
  more = next;
  showing([], "");
  results.append(...elements);
  approach();
}

async function approach() {
  if (loading || !more || byId("end").getBoundingClientRect().top > innerHeight * 2) return;
  loading = true;
  const now = more;
  try {
    await now();
  } catch (error) {
    if (more === now) more = null;
    failed(error);
  } finally {
    loading = false;
  }
  if (more !== now) approach();
}
new IntersectionObserver(approach, { rootMargin: "100% 0px" }).observe(byId("end"));

function redraw(id) {
  const shown = cards.get(id);
  if (!shown) return;
  const held = shown.element.contains(document.activeElement) ? document.activeElement : null;
  const place = held && [".yes", ".no", ".pick", ".open"].find((name) => held.matches(name));
  const element = card(shown.photo, query, openPhoto);
  shown.element.replaceWith(element);
  shown.element = element;
  if (place) element.querySelector(place)?.focus();
}

onChange((changed) => {
  for (const photo of changed) {
    const shown = cards.get(photo.id);
    if (!shown) continue;
    delete shown.photo.known; // of the answer before the change
    Object.assign(shown.photo, photo);
    const answer = known(shown.photo, query);
    shown.photo.before ??= shown.photo.kept; // the decision of the search, for undo
    if (shown.photo.kept !== undefined) shown.photo.kept = answer ? answer === "yes" : shown.photo.before;
    redraw(photo.id);
  }
});

onSelection((ids) => {
  for (const id of ids) {
    const element = cards.get(id)?.element;
    element?.classList.toggle("selected", isSelected(id));
    if (element) element.querySelector(".pick").checked = isSelected(id);
  }
});

// Arrows move, Enter opens (it is a button), space selects, Y and N say right and wrong and go on.
results.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const stops = [...results.querySelectorAll(".open, .tile")];
  const at = stops.indexOf(event.target);
  if (at < 0) return;
  const top = (stop) => Math.round(stop.getBoundingClientRect().top);
  const first = stops.findIndex((stop) => top(stop) === top(stops[at]));
  const below = stops.findIndex((stop, number) => number > at && top(stop) > top(stops[at]));
  const columns = below < 0 ? stops.length - first : below - first;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const { id } = event.target.dataset;
  const kind = { y: "yes", n: "no" }[event.key.toLowerCase()];
  if (step) {
    event.preventDefault();
    stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus();
  } else if (id && event.key === " " && canChange()) {
    event.preventDefault();
    toggle(id, event);
  } else if (id && kind && canChange() && tickable(query)) {
    answer(id, kind);
    stops[Math.min(at + 1, stops.length - 1)].focus();
  }
});

// Say that a photo shows the query ("yes"), or does not ("no").
export function answer(id, kind) {
  if (known(photoOf(id), query) !== kind) edit([id], kind === "yes" ? [query] : [], kind === "yes" ? [] : [query]);
}
