// Labels of one photo to toggle, and a place to write new ones.

import { byId, canChange, make, sameLabel } from "./api.js";
import { tags } from "./cards.js";

const MOST_SHOWN = 60;

// `save` gets all labels of the photo: at each toggle, or, with the text of a button, when it is pressed.
export function editor(photo, start, save, done) {
  if (!canChange()) return tags(photo, "");
  let own = [...start];
  const known = [...byId("known").options].map((option) => option.value);
  const toggles = make("div", { class: "toggles", role: "group", "aria-label": `Labels of ${photo.name}` });
  const draw = () => {
    const all = [...own, ...known.filter((label) => !own.some((one) => sameLabel(one, label)))].slice(0, MOST_SHOWN);
    toggles.replaceChildren(...all.map((label) => make("button", { type: "button", class: "chip",
      "aria-pressed": String(own.some((one) => sameLabel(one, label))), onclick: () => flip(label) }, label)));
  };
  const flip = (label) => {
    own = own.some((one) => sameLabel(one, label)) ? own.filter((one) => !sameLabel(one, label)) : [...own, label];
    draw();
    if (!done) save(own);
    [...toggles.children].find((chip) => sameLabel(chip.textContent, label))?.focus();
  };
  const input = make("input", { list: "known", maxlength: "300", autocomplete: "off", placeholder: "more, with commas", "aria-label": `More labels of ${photo.name}` });
  const form = make("form", { class: "stack", onsubmit: (event) => {
    event.preventDefault();
    const more = input.value.split(",").map((label) => label.trim()).filter(Boolean);
    own = [...own, ...more.filter((label) => !own.some((one) => sameLabel(one, label)))];
    input.value = "";
    draw();
    if (!done || !more.length) save(own);
  } }, input, make("button", { class: done ? "main" : "" }, done || "Add"));
  draw();
  return make("div", { class: "stack" }, toggles, form);
}
