// The page: views, keys and event listeners.

import { ask as request, byId, failed, make, sameLabel, say } from "./api.js";
import { hideCut } from "./cut.js";
import { showKeys } from "./keys.js";
import { begin } from "./labeling.js";
import { undo } from "./labels.js";
import { learn } from "./learn.js";
import "./lightbox.js";
import "./versions.js";
import { current, go, onRoute, refresh, write } from "./route.js";
import { queries } from "./recent.js";
import { labelsShown, search } from "./search.js";
import { completions, suggest } from "./suggest.js";
import "./upload.js";
import "./vocabulary.js";
import { browse, buildings, renew, similar } from "./wall.js";

const SORTS = { "": "best first", unsure: "least sure first", building: "building", name: "name", date: "newest first" };
let running = null;

function tools(route) {
  const offered = route.q ? ["", "unsure", "building", "name", "date"] : ["", "name", "date"];
  byId("sort").replaceChildren(...offered.map((sort) => make("option", { value: sort }, sort || route.q ? SORTS[sort] : SORTS.building)));
  byId("sort").value = offered.includes(route.sort) ? route.sort : "";
  byId("review")?.toggleAttribute("hidden", !route.q);
  byId("review")?.setAttribute("aria-pressed", String(route.review === "yes"));
  byId("results").classList.toggle("reviewing", Boolean(route.q) && route.review === "yes");
  byId("known-choice").hidden = true;
  byId("tools").hidden = Boolean(route.like);
}

onRoute((route, before) => {
  if (before) left.set(write(before), scrollY);
  const labeling = route.view === "label";
  byId("labeling").hidden = !labeling;
  byId("searching").hidden = labeling;
  byId("show-search").setAttribute("aria-pressed", String(!labeling));
  byId("show-label")?.setAttribute("aria-pressed", String(labeling));
  if (document.activeElement !== byId("query")) byId("query").value = route.q;
  if (document.activeElement !== byId("group")) byId("group").value = route.in;
  for (const chip of byId("labels").children) {
    chip.setAttribute("aria-pressed", String(sameLabel(chip.dataset.label, route.q)));
    if (sameLabel(chip.dataset.label, route.q)) reveal(chip);
  }
  running?.abort();
  if (labeling) {
    hideCut();
    return begin();
  }
  tools(route);
  show(route, before);
});

function reveal(chip) {
  const row = chip.parentElement;
  const hidden = chip.offsetLeft < row.scrollLeft || chip.offsetLeft + chip.offsetWidth > row.scrollLeft + row.clientWidth;
  if (hidden) row.scrollLeft = chip.offsetLeft - row.clientWidth / 2;
}

// A new view begins at its top, and Back returns to where it was left.
history.scrollRestoration = "manual";
const left = new Map();
let back = false;
addEventListener("popstate", () => {
  back = true;
  byId("query").value = current().q;
  byId("group").value = current().in;
}, { capture: true });

function scroll(route, before) {
  const same = before && ["q", "in", "like", "sort", "view"].every((part) => route[part] === before[part]);
  if (back || !same) scrollTo(0, back ? left.get(write(route)) || 0 : 0);
  back = false;
}

async function show(route, before) {
  running = new AbortController();
  const { signal } = running;
  const all = !(route.q || route.in || route.like || route.label || route.labeled || route.sort);
  byId("start").hidden = !all;
  if (!route.q) hideCut();
  byId("results").setAttribute("aria-busy", "true");
  const slow = setTimeout(() => say("Searching…"), 300);
  try {
    if (route.q) await search(route, signal);
    else if (route.like) await similar(route.like, signal);
    else if (all) await Promise.all([buildings(signal), before && renew(signal)]);
    else await browse(route, signal);
    scroll(route, before);
  } catch (error) {
    if (error.name === "AbortError") return;
    hideCut();
    byId("results").replaceChildren();
    byId("tools").hidden = true;
    say(error.message[0].toUpperCase() + error.message.slice(1));
    if (error.unreachable) byId("status").append(" ", make("button", { type: "button", class: "link", onclick: refresh }, "Try again"));
  } finally {
    clearTimeout(slow);
    if (running?.signal === signal) byId("results").removeAttribute("aria-busy");
  }
}

byId("show-search").addEventListener("click", () => go({ view: "" }));
byId("show-label")?.addEventListener("click", () => go({ view: "label" }));
byId("learn")?.addEventListener("click", learn);
byId("show-keys").addEventListener("click", showKeys);
byId("sort").addEventListener("change", () => go({ sort: byId("sort").value }));
byId("known-filter").addEventListener("change", () => go({ known: byId("known-filter").value }));
byId("review")?.addEventListener("click", () => go({ review: current().review ? "" : "yes" }, { replace: true }));
byId("menu").addEventListener("click", () => byId("menu").hidePopover());

// A new query begins with its own cut.
const ask = (q, how) => go({ q: q.trim(), like: "", cut: "", view: "" }, how);
let waiting;
byId("search").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(waiting); ask(byId("query").value); });
byId("query").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => ask(byId("query").value, { typing: true }), 180);
});
suggest(byId("query"), byId("query-list"), (text) => completions(text, labelsShown(), queries()), (text) => { clearTimeout(waiting); ask(text); });

// Any unique part of a building's name is enough; a part that several have opens the list of them.
const CHOICES = 20;
const inBuilding = (name) => go({ in: name, like: "", view: "" });
const matching = (part) => request(`groups?${new URLSearchParams({ part, limit: CHOICES })}`).catch((error) => { failed(error); return []; });
const choices = async (part) => (await matching(part.trim())).map(({ name, photos }) => ({ text: name, note: String(photos) }));
const chooseBuilding = suggest(byId("group"), byId("group-list"), choices, inBuilding);
byId("group").addEventListener("change", async () => {
  const part = byId("group").value.trim();
  const found = part ? await matching(part) : [];
  if (byId("group").value.trim() !== part) return; // something else was typed meanwhile
  const exact = found.find(({ name }) => name.toLowerCase() === part.toLowerCase());
  if (found.length > 1 && !exact) {
    await chooseBuilding(); // the keys go to the list once it is said to be there
    return say(`${found.length < CHOICES ? found.length : `${CHOICES} or more`} buildings have “${part}” in their name: choose one.`);
  }
  const chosen = exact || found[0];
  if (chosen) byId("group").value = chosen.name;
  inBuilding(chosen ? chosen.name : part);
});
byId("group").addEventListener("input", () => { if (!byId("group").value) inBuilding(""); });
byId("labels").addEventListener("click", (event) => {
  const chip = event.target.closest("[data-label]");
  if (chip) ask(chip.getAttribute("aria-pressed") === "true" ? "" : chip.dataset.label);
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
  if (typing && !(event.key === "ArrowDown" && event.target.id === "query")) return;
  if (event.key === "/") {
    byId("query").focus();
    byId("query").select();
  } else if (event.key === "ArrowDown" && event.target.id === "query") {
    byId("results").querySelector(".open, .tile")?.focus();
  } else if (event.key === "?") {
    showKeys();
  } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !document.body.dataset.readOnly) {
    undo();
  } else return;
  event.preventDefault();
});

refresh();
