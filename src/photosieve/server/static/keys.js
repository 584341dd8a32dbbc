// All keys, shown by "?".

import { byId, make } from "./api.js";

const KEYS = [
  ["Everywhere"], ["/", "type a query"], ["?", "show these keys"], ["Ctrl Z", "undo the last change of labels"], ["Esc", "close, or clear the selection"],
  ["Photos"], ["← ↑ → ↓", "move"], ["Enter", "show large"], ["Space", "select"], ["Ctrl A", "select all"], ["Y / N", "right / wrong for the query, and go on"],
  ["A large photo"], ["← →", "the photo before / the next"], ["+ / −", "zoom"], ["0", "the whole photo"], ["Y / N", "right / wrong, and go on"], ["L", "photos like this"],
  ["Label"], ["1 – 9", "tick a label"], ["A", "write a label"], ["Enter", "save, and go on"], ["Y / N", "yes / no, where one label is checked"], ["S", "skip"], ["B", "back"],
];

export function showKeys() {
  const box = byId("keys");
  box.replaceChildren(
    make("div", { class: "head" }, make("h2", { id: "keys-title" }, "Keys"), make("button", { type: "button", class: "round plain", "aria-label": "Close", onclick: () => box.close() }, "✕")),
    make("dl", { class: "keys" }, ...KEYS.flatMap(([key, does]) => (does
      ? [make("dt", {}, ...key.split(" ").map((part) => (("/–".includes(part) && key !== "/") ? ` ${part === "–" ? part : ""} ` : make("kbd", {}, part)))), make("dd", {}, does)]
      : [make("dt", { class: "part" }, key)]))));
  box.showModal();
}
