// Search as you type, and a slider that moves the cut.

import { ask, byId, failed, make, sameLabel, say } from "./api.js";
import { clear, fill } from "./photos.js";

let answer = null;
let moved = null; // the threshold, if the user has moved it
let running = null;
let waiting;

const number = (count, one, many) => `${count} ${count === 1 ? one : many}`;
export const state = () => answer;

export function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => { moved = null; search(); }, 180);
}

export async function search() {
  clearTimeout(waiting);
  const query = byId("query").value.trim();
  const group = byId("group").value.trim();
  running?.abort();
  const address = new URLSearchParams();
  if (query) address.set("q", query);
  if (group) address.set("in", group);
  history.replaceState(null, "", address.size ? `?${address}` : ".");
  for (const chip of byId("labels").children) chip.setAttribute("aria-pressed", String(sameLabel(chip.dataset.label, query)));
  byId("start").hidden = Boolean(query || group);
  if (!query) return group ? browse(group) : empty();
  running = new AbortController();
  const parameters = new URLSearchParams({ q: query, limit: "200", nearest: "60" });
  if (group) parameters.append("group", group);
  if (moved !== null) parameters.set("threshold", String(moved));
  byId("results").setAttribute("aria-busy", "true");
  const slow = setTimeout(() => say("Searching…"), 300);
  try {
    answer = await ask(`search?${parameters}`, { signal: running.signal });
    draw();
  } catch (error) {
    if (error.name === "AbortError") return;
    empty();
    byId("start").hidden = true;
    say(error.message);
  } finally {
    clearTimeout(slow);
    byId("results").removeAttribute("aria-busy");
  }
}

function empty() {
  answer = null;
  byId("cut").hidden = true;
  fill([], null, "");
  say("");
}

async function browse(group) {
  empty();
  try {
    const page = await ask(`photos?${new URLSearchParams({ group, limit: "200" })}`);
    fill(page.photos, null, "");
    say(`${number(page.total, "photo", "photos")} in ${group}.`);
  } catch (error) {
    say(error.message);
  }
}

function draw() {
  const all = [...answer.photos, ...answer.nearest];
  const cut = byId("threshold");
  cut.value = String(answer.threshold);
  byId("value").textContent = answer.threshold.toFixed(2);
  byId("learned").disabled = answer.learned;
  byId("cut").hidden = !all.length;
  clear();
  if (!answer.matches) {
    say(`No matches for “${answer.query}” in ${number(answer.looked_at, "photo", "photos")}.${note()}`);
    fill(all, all.length ? "No matches: the closest photos" : null, answer.query);
  } else {
    const rest = answer.looked_at - answer.matches;
    const part = answer.next ? ` The first ${answer.photos.length} are shown.` : "";
    say(`${number(answer.matches, "photo matches", "photos match")} “${answer.query}”; ${rest} left out.${part}${note()}`);
    fill(all, answer.nearest.length ? "the cut: the photos below do not match" : null, answer.query);
  }
  suggest();
  curve(answer.threshold);
}

function suggest() {
  for (const query of answer.suggestions) {
    const take = () => { byId("query").value = query; moved = null; search(); byId("query").focus(); };
    byId("status").append(" Did you mean ", make("button", { type: "button", class: "link", onclick: take }, query), "?");
  }
}

function note() {
  const unwanted = answer.terms.filter((term) => term.term.startsWith("-")).map((term) => term.term);
  const out = unwanted.length ? ` ${unwanted.join(" and ")} took out ${number(answer.taken_out, "photo", "photos")}.` : "";
  const gone = answer.gone ? ` ${number(answer.gone, "photo is", "photos are")} not on the disk any more.` : "";
  return out + gone + certainty();
}

function certainty() {
  if (!document.body.dataset.trained) return " The cut is a guess until you press Learn.";
  const words = answer.terms.filter((term) => term.label === null).map((term) => `“${term.term}”`);
  return words.length ? ` ${words.join(" and ")} ${words.length === 1 ? "is no label: its" : "are no labels: their"} cut is less sure.` : "";
}

// Bars of probability, best first. Beyond 120 photos the tail is left out.
function curve(at) {
  const all = [...answer.photos, ...answer.nearest].slice(0, 120);
  const svg = byId("curve");
  const draw = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const width = 600 / Math.max(all.length, 24);
  const bars = all.map((photo, place) => {
    const height = Math.max(1, photo.probability * 58);
    return draw("rect", { x: place * width, y: 60 - height, width: width * 0.82, height, class: keeps(photo, at) ? "in" : "not" });
  });
  svg.replaceChildren(...bars, draw("line", { x1: 0, x2: 600, y1: 60 - at * 58, y2: 60 - at * 58, class: "cut" }));
}

const keeps = (photo, at) => (answer.learned && at === answer.threshold ? photo.kept : photo.probability >= at);

// While the slider moves, the loaded photos are cut again; when it rests, the server cuts all photos.
function slide() {
  if (!answer) return;
  moved = Number(byId("threshold").value);
  byId("value").textContent = moved.toFixed(2);
  byId("learned").disabled = false;
  const before = new Map([...answer.photos, ...answer.nearest].map((photo) => [photo.id, photo.kept]));
  const all = [...answer.photos, ...answer.nearest].map((photo) => ({ ...photo, kept: photo.probability >= moved }));
  const comes = all.filter((photo) => photo.kept && !before.get(photo.id)).length;
  const goes = all.filter((photo) => !photo.kept && before.get(photo.id)).length;
  fill(all, "the cut: the photos below do not match", answer.query);
  curve(moved);
  say(`With a cut of ${moved.toFixed(2)}: ${number(comes, "photo comes", "photos come")} in, ${goes} ${goes === 1 ? "goes" : "go"} out.`);
}

byId("threshold").addEventListener("input", slide);
byId("threshold").addEventListener("change", () => search().catch(failed));
byId("learned").addEventListener("click", () => { moved = null; search(); });
