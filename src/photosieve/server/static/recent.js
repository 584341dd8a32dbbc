// What the page remembers in this browser: queries of before, and cuts that were moved.

const MOST_QUERIES = 20;
const MOST_CUTS = 200;

function load(name, missing) {
  try {
    return JSON.parse(localStorage.getItem(`photosieve.${name}`)) ?? missing;
  } catch {
    return missing; // storage is off, or holds something else
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`photosieve.${name}`, JSON.stringify(value));
  } catch { /* storage is off or full: nothing is remembered */ }
}

const texts = (value) => (Array.isArray(value) ? value.filter((one) => typeof one === "string") : []);
export const queries = () => texts(load("queries", []));

export function remember(query) {
  store("queries", [query, ...queries().filter((one) => one !== query)].slice(0, MOST_QUERIES));
}

const key = (query) => query.trim().toLowerCase();
const pairs = () => load("cuts", []);
const cuts = () => (Array.isArray(pairs()) ? pairs().filter((pair) => Array.isArray(pair) && pair.length === 2) : []);

// The cut that a person moved a query to, as a text; empty without one.
export function cutOf(query) {
  const found = cuts().find(([one]) => one === key(query));
  return found && Number(found[1]) >= 0 && Number(found[1]) <= 1 ? String(found[1]) : "";
}

export function keepCut(query, cut) {
  const others = cuts().filter(([one]) => one !== key(query));
  store("cuts", (cut ? [[key(query), cut], ...others] : others).slice(0, MOST_CUTS));
}
