// A list below a text field: arrows move in it, Enter or a press takes an entry, Escape closes it.

import { make, number } from "./api.js";

// `find(text)` gives entries { text, note }, or a promise of them; `take(text)` gets the chosen one.
// Returns a function that opens the list.
export function suggest(input, list, find, take) {
  let entries = [];
  let at = -1;
  let asked = 0;

  function draw() {
    list.replaceChildren(...entries.map((entry, place) => make("li", { id: `${list.id}-${place}`, role: "option", "aria-selected": String(place === at),
      onpointerdown: (event) => { event.preventDefault(); choose(entry); } }, entry.text, entry.note ? make("span", {}, entry.note) : null)));
    list.hidden = !entries.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `${list.id}-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function close() {
    asked += 1;
    entries = [];
    at = -1;
    draw();
  }

  function choose(entry) {
    input.value = entry.text;
    close();
    take(entry.text);
  }

  async function open() {
    const turn = ++asked;
    const found = await find(input.value);
    if (turn !== asked || document.activeElement !== input) return;
    entries = found;
    at = -1;
    draw();
  }

  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);
  input.addEventListener("input", open);
  input.addEventListener("focus", open);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && entries.length) {
      at = Math.min(Math.max(at + step, -1), entries.length - 1);
      draw();
    } else if (event.key === "Enter") {
      const entry = entries[at];
      if (entry) choose(entry);
      else return close();
    } else if (event.key === "Escape" && entries.length) close();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page has other uses for these keys
  });
  return open;
}

const MOST = 8;
const LAST_TERM = /^(.*(?:\||(?:^|\s)[-+])\s*)?(.*)$/s; // behind the last sign or bar

// Labels for the term of a query that is being typed, and queries of before that begin with all of it.
// An entry is the whole query with the term completed.
export function completions(text, labels, recent) {
  const typed = text.trimStart().toLowerCase();
  const before = recent.filter((query) => query.toLowerCase().startsWith(typed) && query.toLowerCase() !== typed.trim())
    .slice(0, typed ? 3 : MOST).map((query) => ({ text: query, note: "searched before" }));
  if (!typed) return before;
  const [, head = "", last] = LAST_TERM.exec(text);
  const term = last.trim().toLowerCase();
  if (!term || labels.some(([label]) => label.toLowerCase() === term)) return [];
  const rank = (label) => (label.toLowerCase().startsWith(term) ? 0 : 1);
  const fitting = labels.filter(([label]) => label.toLowerCase().includes(term)).sort(([a], [b]) => rank(a) - rank(b));
  const named = fitting.map(([label, count]) => ({ text: head + label, note: number(Number(count), "photo", "photos") }));
  return [...named, ...before.filter(({ text: query }) => !named.some((one) => one.text === query))].slice(0, MOST);
}
