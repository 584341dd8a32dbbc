// One photo, large: what is known of it, why it is in the answer or not, and its labels.

import { ask, byId, canChange, make } from "./api.js";
import { known, picture, tickable } from "./cards.js";
import { editor } from "./editor.js";
import { answer, focusPhoto, onOpen, photoOf, photos, queryShown } from "./grid.js";
import { showKeys } from "./keys.js";
import { onChange, set, undo } from "./labels.js";
import { go, onRoute } from "./route.js";
import { zoom } from "./zoom.js";

const box = byId("box");
box.tabIndex = -1;
let shown = null; // the id of the photo
let zooming = null;

function frame(photo) {
  const image = picture(photo.photo, photo.name);
  const button = (kind, text, name, press) => make("button", { type: "button", class: `round ${kind}`, "aria-label": name, title: name, onclick: press }, text);
  const stage = make("div", { class: "stage" }, image, button("before", "‹", "The photo before", () => step(-1)),
    button("after", "›", "The next photo", () => step(1)), button("shut", "✕", "Close", () => box.close()));
  const all = photos();
  stage.querySelector(".before").hidden = all[0]?.id === photo.id;
  stage.querySelector(".after").hidden = all.at(-1)?.id === photo.id;
  image.removeAttribute("loading");
  image.style.background = `center / contain no-repeat url("${photo.thumbnail}")`; // until the large one is there
  image.addEventListener("load", () => { image.style.background = ""; }, { once: true });
  zooming = zoom(stage, image, { swipe: step, leave: () => box.close() });
  return stage;
}

function why(photo) {
  if (photo.reason === undefined) return null;
  return make("div", {}, make("p", {}, make("b", {}, photo.kept ? "It is in: " : "It is out: "), photo.reason, "."),
    make("p", { class: "soft" }, `Probability ${photo.probability.toFixed(2)}, score ${photo.score.toFixed(3)}.`));
}

function verdict(photo) {
  const query = queryShown();
  if (!canChange() || !tickable(query)) return null;
  const now = known(photo, query);
  const button = (kind, text) => make("button", { type: "button", class: kind, "aria-pressed": String(now === kind), onclick: () => answer(photo.id, kind) }, text);
  return make("div", { class: "verdict", role: "group", "aria-label": `Does it show ${query}?` }, button("yes", "✓ right"), button("no", "✕ wrong"));
}

function about(photo) {
  const facts = make("dl", { class: "facts" });
  ask(`photos/${photo.id}/details`).then((noted) => {
    const size = noted.bytes < 1e6 ? `${Math.ceil(noted.bytes / 1000)} kB` : `${(noted.bytes / 1e6).toFixed(1)} MB`;
    const rows = [["Size", `${noted.width ? `${noted.width} × ${noted.height} pixels, ` : ""}${size}`],
      ["Changed", new Date(noted.changed * 1000).toLocaleDateString()], ...Object.entries(noted.columns)];
    facts.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }).catch(() => {}); // the photo is shown all the same
  return facts;
}

function side(photo) {
  return make("div", { class: "side" },
    make("div", {}, make("h2", {}, photo.name), make("p", { class: "soft" }, make("button", { type: "button", class: "link", onclick: () => leave({ in: photo.group, q: "", cut: "", like: "", sort: "" }) }, photo.group),
      (photo.testing ?? photo.test) ? " – kept for testing, never learned from" : "")),
    why(photo), verdict(photo), make("h3", {}, "Labels"), editor(photo, photo.labels || [], (own) => set(photo.id, own)),
    make("div", { class: "buttons" }, make("button", { type: "button", onclick: () => leave({ like: photo.id, q: "", in: "", cut: "", sort: "" }) }, "Photos like this"),
      make("a", { class: "button", href: photo.photo, target: "_blank" }, "Open the file")),
    about(photo));
}

function leave(route) {
  box.close();
  go(route);
}

function show(id) {
  shown = id;
  const photo = photoOf(id);
  box.setAttribute("aria-label", `Photo ${photo.name}`);
  const held = [".before", ".after"].find((name) => document.activeElement?.matches(name));
  box.replaceChildren(make("div", { class: "two" }, frame(photo), side(photo)));
  if (!box.open) box.showModal();
  const next = held && box.querySelector(held);
  (next && !next.hidden ? next : box).focus(); // the keys are those of the box
}

function step(by) {
  const ids = photos().map((photo) => photo.id);
  const next = ids[ids.indexOf(shown) + by];
  if (next) show(next);
}

onOpen(show);
onRoute(() => box.close()); // as by Back

// A verdict changes what is said beside the photo; the editor draws itself.
onChange((changed) => {
  const photo = changed.some(({ id }) => id === shown) && photoOf(shown);
  const now = photo && box.querySelector(".side > .verdict");
  if (!now) return;
  const held = [...now.children].indexOf(document.activeElement);
  now.replaceWith(verdict(photo));
  if (held >= 0) box.querySelector(".side > .verdict").children[held].focus();
});

box.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT") return;
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key.toLowerCase() === "z" && !event.altKey && canChange()) undo();
    return;
  }
  const keys = {
    "?": showKeys,
    ArrowRight: () => step(1), ArrowLeft: () => step(-1),
    "+": () => zooming.by(1.5), "=": () => zooming.by(1.5), "-": () => zooming.by(1 / 1.5), 0: () => zooming.reset(),
    l: () => leave({ like: shown, q: "", in: "", cut: "", sort: "" }),
    y: () => judge("yes"), n: () => judge("no"),
  };
  const act = keys[event.key] || keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

function judge(kind) {
  if (!canChange() || !tickable(queryShown())) return;
  answer(shown, kind);
  step(1);
}

box.addEventListener("close", () => {
  if (shown) focusPhoto(shown);
  shown = null;
});
