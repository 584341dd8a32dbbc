// The card of a photo: picture, one line, and what is known of it. It holds no state.

import { byId, canChange, make, sameLabel } from "./api.js";
import { edit, summary } from "./labels.js";
import { isSelected, toggle } from "./selection.js";

export const has = (photo, label) => (photo.labels || []).some((own) => sameLabel(own, label));

// A query that is one plain word or phrase can be called right or wrong.
export const tickable = (text) => Boolean(text.trim()) && !/(^|\s)[-+\u2010-\u2015\u2212]|\||\s\+\s/.test(text);

// What is known of a photo and a query: "yes", "no", or null. The server says so in an answer; after
// a change of labels they say it. A photo with a plain list has no other label.
export function known(photo, query) {
  if (!tickable(query)) return null;
  if (photo.known !== undefined) return photo.known;
  if (has(photo, query)) return "yes";
  if (photo.labels === null) return null;
  const no = photo.no ?? [...byId("known").options].map((option) => option.value);
  return no.some((label) => sameLabel(label, query)) ? "no" : null;
}

export function picture(url, name) {
  const image = make("img", { src: url, alt: name, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "broken", role: "img", "aria-label": name }, "cannot be shown")));
  return image;
}

export function tags(photo, query) {
  if (!photo.labels?.length) return make("div", { class: "tags" }, summary(photo));
  return make("div", { class: "tags" }, ...photo.labels.map((label) =>
    make("span", { class: sameLabel(label, query) ? "tag hit" : "tag" }, label)));
}

function marks(photo, query) {
  const answer = known(photo, query);
  return make("div", { class: "marks" },
    (photo.testing ?? photo.test) ? make("span", { class: "mark", title: "Kept for testing, never learned from" }, "test") : null,
    answer && make("span", { class: `mark ${answer}`, role: "img", "aria-label": answer === "yes" ? `known to show ${query}` : `known not to show ${query}` }, answer === "yes" ? "✓" : "✕"));
}

function verdict(photo, query) {
  if (!canChange() || !tickable(query)) return null;
  const answer = known(photo, query);
  const button = (kind, text, says, add, remove) => make("button", { type: "button", class: kind, "aria-pressed": String(answer === kind),
    "aria-label": `${photo.name} ${says} ${query}`, onclick: () => edit([photo.id], add, remove) }, text);
  return make("div", { class: "verdict" },
    button("yes", "✓ right", "shows", [query.trim()], []), button("no", "✕ wrong", "does not show", [], [query.trim()]));
}

// One line that fits: the last folder of the building, and the name without its ending.
const short = (photo) => [photo.group.split("/").at(-1), photo.name.replace(/\.[^.]+$/, "")];

// `open` is called with the id when the photo is to be shown large.
export function card(photo, query, open) {
  const pick = canChange() && make("input", { type: "checkbox", class: "pick", "aria-label": `Select ${photo.name}`, tabindex: "-1",
    onclick: (event) => toggle(photo.id, event) });
  if (pick) pick.checked = isSelected(photo.id);
  const [building, name] = short(photo);
  const value = photo.probability ?? photo.score;
  return make("article", { class: `card${photo.kept === false ? " out" : ""}${isSelected(photo.id) ? " selected" : ""}`, "data-photo": photo.id },
    make("div", { class: "frame" }, pick || null,
      make("button", { type: "button", class: "open", "data-id": photo.id, "aria-label": `Open ${photo.name} of ${photo.group}`, onclick: () => open(photo.id) }, picture(photo.thumbnail, photo.name)),
      marks(photo, query), make("div", { class: "over" }, tags(photo, query), verdict(photo, query)),
      photo.probability === undefined ? null : make("meter", { min: 0, max: 1, value, "aria-label": "Probability" })),
    make("div", { class: "line" }, make("span", { class: "name", title: `${photo.group}/${photo.name}` }, make("span", {}, building), ` · ${name}`),
      value === undefined ? null : make("span", { class: "chance" }, value.toFixed(2))));
}
