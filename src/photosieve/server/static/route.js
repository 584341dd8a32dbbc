// The address of the page holds what it shows, so Back, a bookmark and a link bring the view again.

const CHOICES = {
  view: ["label"],
  sort: ["unsure", "building", "name", "date"],
  labeled: ["yes", "no"],
  known: ["hide", "only"],
  review: ["yes"],
};
const TEXTS = ["q", "in", "like", "label"];
const MOST = 500;
const SETTLED = 1500; // milliseconds after which a typed query is a step of its own

// Read what an address asks for. Each part is a text, empty where it is missing or makes no sense.
export function read(search) {
  const given = new URLSearchParams(search);
  const route = {};
  for (const [key, choices] of Object.entries(CHOICES)) route[key] = choices.includes(given.get(key)) ? given.get(key) : "";
  for (const key of TEXTS) route[key] = (given.get(key) || "").trim().slice(0, MOST);
  if (!/^[0-9a-f]{16}$/.test(route.like)) route.like = ""; // the id of a photo
  const cut = given.get("cut");
  route.cut = cut && Number(cut) >= 0 && Number(cut) <= 1 ? cut : "";
  return route;
}

export function write(route) {
  const given = Object.entries(route).filter(([, value]) => value);
  return given.length ? `?${new URLSearchParams(given)}` : ".";
}

const listeners = [];
let shown = null;
let settling;

export const current = () => read(location.search);
// Call `listener(route, before)` whenever the address changes; `before` is null for the first view.
export const onRoute = (listener) => listeners.push(listener);

// Show the current view again, as after the sieve has changed.
export function refresh() {
  const before = shown;
  shown = current();
  for (const listener of listeners) listener(shown, before);
}

// Change parts of the address. Back returns to the view before, but with `replace` to the one before
// that. While a person types, all letters are one step.
export function go(changes, { replace = false, typing = false } = {}) {
  const address = write({ ...current(), ...changes });
  clearTimeout(settling);
  if (address !== write(current())) {
    const same = replace || (typing && history.state?.typing);
    history[same ? "replaceState" : "pushState"]({ typing }, "", address);
    refresh();
  }
  if (typing) settling = setTimeout(() => history.replaceState({ typing: false }, ""), SETTLED);
}

addEventListener("popstate", refresh);
