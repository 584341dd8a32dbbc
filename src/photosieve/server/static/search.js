// The answer to a query.

import { ask, byId, make, say } from "./api.js";
import { showCut, usualCut } from "./cut.js";
import { fill } from "./grid.js";
import { go } from "./route.js";

const number = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export async function search(route, signal) {
  const parameters = new URLSearchParams({ q: route.q, limit: "200", nearest: "60" });
  if (route.in) parameters.append("group", route.in);
  if (route.known) parameters.set("known", route.known);
  const cut = route.cut || usualCut(route.q);
  if (cut) parameters.set("threshold", cut);
  const answer = await ask(`/search?${parameters}`, { signal });
  draw(answer, route);
}

function draw(answer, route) {
  const photos = [...answer.photos, ...answer.nearest];
  if (!answer.matches) {
    say(`No matches for “${answer.query}” in ${number(answer.looked_at, "photo", "photos")}.${note(answer)}`);
    fill(photos, { text: answer.query, rule: "No matches: the closest photos" });
  } else {
    const rest = answer.looked_at - answer.matches;
    say(`${number(answer.matches, "photo matches", "photos match")} “${answer.query}”; ${rest} left out.${note(answer)}`);
    fill(photos, { text: answer.query, rule: "the cut: the photos below do not match" });
  }
  suggest(answer);
  showCut(answer, route);
}

function suggest(answer) {
  for (const query of answer.suggestions) {
    byId("status").append(" Did you mean ", make("button", { type: "button", class: "link", onclick: () => { go({ q: query, cut: "" }); byId("query").focus(); } }, query), "?");
  }
}

function note(answer) {
  const unwanted = answer.terms.filter((term) => term.term.startsWith("-")).map((term) => term.term);
  const out = unwanted.length ? ` ${unwanted.join(" and ")} took out ${number(answer.taken_out, "photo", "photos")}.` : "";
  const gone = answer.gone ? ` ${number(answer.gone, "photo is", "photos are")} not on the disk any more.` : "";
  return out + gone + certainty(answer);
}

function certainty(answer) {
  if (!document.body.dataset.trained) return " The cut is a guess until you press Learn.";
  const words = answer.terms.filter((term) => term.label === null).map((term) => `“${term.term}”`);
  return words.length ? ` ${words.join(" and ")} ${words.length === 1 ? "is no label: its" : "are no labels: their"} cut is less sure.` : "";
}
