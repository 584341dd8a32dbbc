// Labels of photos: all changes go through this module, which notifies its listeners.

import { ask, byId, failed, make, toast } from "./api.js";

const listeners = [];
let changes = 0;

export const onChange = (listener) => listeners.push(listener);

function notify(changed) {
  const known = Object.entries(changed.labels);
  byId("known").replaceChildren(...known.map(([label]) => make("option", { value: label })));
  const pressed = byId("query").value.trim().toLowerCase();
  byId("labels").replaceChildren(...known.map(([label, count]) =>
    make("button", { type: "button", class: "chip", "data-label": label, "aria-pressed": String(label.toLowerCase() === pressed) },
      `${label} `, make("span", {}, String(count)))));
  byId("learn").textContent = changes ? `Learn (${changes})` : "Learn";
  for (const listener of listeners) listener(changed.photos);
}

async function change(path, method, body, describe, { quiet = false } = {}) {
  try {
    const changed = await ask(path, { method, body });
    changes += changed.photos.length;
    notify(changed);
    if (!quiet) toast(describe(changed.photos), "Undo", undo);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

const list = (photos) => (photos.length === 1
  ? `${photos[0].name}: ${(photos[0].labels || ["unknown"]).join(", ") || "none of the labels"}`
  : `${photos.length} photos changed`);

export const edit = (photos, add, remove, how) => change("labels", "PATCH", { photos, add, remove }, list, how);

// Labels have changed in another way, on photos that are not named.
export const reload = (counts) => notify({ photos: [], labels: counts });
export const set = (id, labels) => change("labels", "PUT", { photos: { [id]: labels } }, list);

export async function undo() {
  try {
    const changed = await ask("labels/undo", { method: "POST" });
    changes = Math.max(0, changes - changed.photos.length);
    notify(changed);
    toast("Undone.");
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export const learned = () => { changes = 0; byId("learn").textContent = "Learn"; };
