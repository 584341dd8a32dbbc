// One photo, large.

import { byId, canChange, make } from "./api.js";
import { picture } from "./cards.js";
import { editor } from "./editor.js";
import { focusPhoto, onOpen, photoOf, photos } from "./grid.js";
import { set } from "./labels.js";
import { go } from "./route.js";

const box = byId("box");
let shown = null;

function show(id) {
  shown = id;
  const photo = photoOf(id);
  const why = photo.reason === undefined ? null : make("p", {},
    make("b", {}, photo.kept ? "It is in: " : "It is out: "), photo.reason, ".",
    make("br"), make("span", { class: "soft" }, `Probability ${photo.probability.toFixed(2)}, score ${photo.score.toFixed(3)}.`));
  const stage = make("div", { class: "stage" }, picture(photo.photo, photo.name),
    make("button", { type: "button", class: "round before", onclick: () => step(-1), "aria-label": "The photo before" }, "‹"),
    make("button", { type: "button", class: "round after", onclick: () => step(1), "aria-label": "The next photo" }, "›"),
    make("button", { type: "button", class: "round shut", onclick: () => box.close(), "aria-label": "Close" }, "✕"));
  const side = make("div", { class: "side" },
    make("h2", {}, photo.name), make("p", { class: "soft" }, photo.group, (photo.testing ?? photo.test) ? " – kept for testing, never learned from" : ""),
    why, editor(photo, photo.labels || [], (own) => set(photo.id, own)),
    make("div", { class: "buttons" }, make("button", { type: "button", onclick: () => { box.close(); go({ like: photo.id, q: "", cut: "", view: "" }); } }, "Photos like this")));
  box.replaceChildren(make("div", { class: "two" }, stage, side));
  if (!box.open) box.showModal();
}

function step(by) {
  const ids = photos().map((photo) => photo.id);
  const at = ids.indexOf(shown) + by;
  if (at >= 0 && at < ids.length) show(ids[at]);
}

onOpen(show);
box.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
box.addEventListener("close", () => {
  if (shown) focusPhoto(shown);
  shown = null;
});
