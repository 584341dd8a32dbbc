// The answer to a query.

import { ask, byId, canChange, make, number } from "./api.js";
import { tickable } from "./cards.js";
import { cutFor, showCut } from "./cut.js";
import { fill } from "./grid.js";
import { onChange } from "./labels.js";
import { readings } from "./readings.js";
import { remember } from "./recent.js";
import { go } from "./route.js";

export const labelsShown = () => [...byId("labels").children].map((chip) => [chip.dataset.label, chip.lastElementChild.textContent]);

export async function search(route, signal) {
  const parameters = new URLSearchParams({ q: route.q, limit: "200", nearest: "60" });
  if (route.in) parameters.append("group", route.in);
  if (route.known) parameters.set("known", route.known);
  if (route.sort) parameters.set("sort", route.sort);
  const cut = cutFor(route);
  if (cut) parameters.set("threshold", cut);
  const answer = await ask(`search?${parameters}`, { signal });
  remember(route.q);
  draw(answer, route, signal);
}

// Photos in the order to look at them. Least sure first, those behind the cut are among the others.
export function ordered(answer, sort) {
  const photos = [...answer.photos, ...answer.nearest];
  if (sort !== "unsure") return photos;
  return photos.sort((a, b) => Boolean(a.known) - Boolean(b.known) || Math.abs(a.probability - answer.threshold) - Math.abs(b.probability - answer.threshold));
}

function draw(answer, route, signal) {
  const photos = ordered(answer, route.sort);
  const rule = answer.matches ? "the cut: the photos below do not match" : "No matches: the closest photos";
  fill(photos, { text: answer.query, rule: route.sort === "unsure" ? null : rule });
  const found = make("span");
  byId("status").replaceChildren(found, [" ", ...notes(answer, route)].join(" "));
  count = () => { found.textContent = sentence(answer); };
  count();
  byId("known-choice").hidden = !(tickable(answer.query) && photos.some((photo) => photo.known)) && !route.known;
  byId("known-filter").value = route.known;
  suggest(answer);
  offer(answer);
  if (answer.next) more(answer, signal);
  showCut(answer);
}

// How many photos match. A photo that was called right or wrong since then is in or out at once.
function sentence(answer) {
  const moved = [...answer.photos, ...answer.nearest].reduce((sum, { kept, before = kept }) => sum + kept - before, 0);
  const matches = answer.matches + moved;
  return matches
    ? `${number(matches, "photo matches", "photos match")} “${answer.query}”; ${answer.looked_at - matches} left out.`
    : `No matches for “${answer.query}” in ${number(answer.looked_at, "photo", "photos")}.`;
}
let count = () => {};
onChange(() => count());

// Matches beyond the first ones: all of them, on request, before those that do not match.
function more(answer, signal) {
  const button = make("button", { type: "button", class: "link", onclick: async () => {
    button.disabled = true;
    for (let address = answer.next; address;) {
      const page = await ask(address, { signal });
      answer.photos.push(...page.photos);
      address = page.next;
    }
    answer.next = null;
    fill([...answer.photos, ...answer.nearest], { text: answer.query, rule: "the cut: the photos below do not match" });
    showCut(answer);
    button.remove();
  } }, `Show all ${answer.matches}`);
  byId("status").append(` The first ${answer.photos.length} are shown. `, button);
}

function suggest(answer) {
  for (const query of answer.suggestions) {
    const take = () => { byId("query").value = query; go({ q: query, cut: "" }); byId("query").focus(); };
    byId("status").append(" Did you mean ", make("button", { type: "button", class: "link", onclick: take }, query), "?");
  }
}

// A label that some photos have and the sieve has not learned: the others are gone through fastest in review.
function offer(answer) {
  if (!canChange() || !tickable(answer.query) || !answer.terms.some((term) => term.label === null && term.labeled)) return;
  const check = () => go({ review: "yes", known: "hide", sort: "" });
  byId("status").append(" ", make("button", { type: "button", class: "link", onclick: check }, "Check the photos that may show it"));
}

const quoted = (words) => words.map((word) => `“${word}”`).join(" and ");

function notes(answer, route) {
  const all = answer.terms.map((term) => term.term);
  const unwanted = all.filter((term) => term.startsWith("-"));
  const others = answer.terms.filter((term) => term.label === null);
  const words = others.filter((term) => !term.labeled).map((term) => term.term);
  const strange = answer.matches ? [] : others.filter((term) => !term.labeled && term.remote).map((term) => term.term);
  const cut = !answer.learned && !route.cut && !answer.own_cut;
  const behind = answer.learned ? 0 : answer.photos.filter((photo) => photo.known && photo.probability < answer.threshold).length;
  return [
    unwanted.length && `${unwanted.join(" and ")} took out ${number(answer.taken_out, "photo", "photos")}.`,
    answer.gone && `${number(answer.gone, "photo is", "photos are")} not on the disk any more.`,
    cut && `Your cut of ${answer.threshold.toFixed(2)} is used again.`,
    answer.own_cut && `The cut of this label is set to ${answer.threshold.toFixed(2)}.`,
    behind && `${number(behind, "photo stays in below the cut: its labels say", "photos stay in below the cut: their labels say")} so.`,
    ...(answer.suggestions.length ? [] : readings(words, labelsShown().map(([label]) => label), strange)),
    !document.body.dataset.trained && "The cut is a guess until you press Learn.",
    ...others.filter((term) => term.labeled).map((term) => `“${term.term}” is labeled on ${number(term.labeled, "photo", "photos")}, not learned yet.`),
    document.body.dataset.trained && words.length && `${quoted(words)} ${words.length === 1 ? "is no label: its" : "are no labels: their"} cut is less sure.`,
  ].filter(Boolean);
}
