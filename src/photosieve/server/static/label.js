// Labeling: the most informative photos, one after the other.

import { ask, byId, canChange, make } from "./api.js";
import * as labels from "./labels.js";
import { editor } from "./editor.js";

// Photos that were passed over in this session.
const skipped = new Set();
const MOST_PROPOSALS = 48;
let done = 0;

export async function begin() {
  done = 0;
  skipped.clear();
  byId("labeling").replaceChildren(make("p", { class: "soft" }, "Choosing the most informative photos…"));
  await next();
}

// Asks anew for each photo, so that guesses come from all photos labeled before it.
async function next() {
  const place = byId("labeling");
  let found;
  try {
    found = await ask(`proposals?limit=${Math.min(skipped.size + 1, MOST_PROPOSALS)}`);
  } catch (error) {
    place.replaceChildren(make("div", { class: "empty" }, make("h1", {}, "No photos could be proposed"), make("p", {}, error.message),
      make("button", { type: "button", onclick: next }, "Try again")));
    return;
  }
  let photo = found.find((one) => !skipped.has(one.id));
  if (!photo) {  // all were passed over, and come again
    skipped.clear();
    [photo] = found;
  }
  if (!photo) {
    place.replaceChildren(make("div", { class: "empty" }, make("h1", {}, "Every photo has labels"),
      make("p", {}, "Press Learn to use them. Photos that are kept for testing are not proposed.")));
    return;
  }
  const guesses = photo.suggested.length > 0;
  const image = make("img", { src: photo.photo, alt: photo.name });
  const side = make("div", { class: "side" },
    make("h1", {}, "What is on this photo?"),
    make("p", { class: "soft" }, `${photo.group} · ${photo.name}. ${done ? `${done} labeled so far.` : ""}`),
    make("p", {}, guesses ? "The marked labels are guesses: correct them. " : "", "Add every label that you want to search for: all others count as absent."),
    editor(photo, photo.suggested, async (own) => {
      if (await labels.set(photo.id, own)) { done += 1; await next(); }
    }, "Save, and next"),
    make("div", { class: "buttons" }, make("button", { type: "button", onclick: async () => { skipped.add(photo.id); await next(); } }, "Skip")));
  place.replaceChildren(make("div", { class: "two" }, image, side));
  // Not on a phone: its keyboard would hide the photo.
  if (canChange() && matchMedia("(pointer: fine)").matches) place.querySelector("form input").focus({ preventScroll: true });
}
