// Labels of photos: all changes go through this module, which notifies its listeners, here and in
// other tabs.

import { ask, byId, failed, make, toast } from "./api.js";
import { refresh } from "./route.js";

const listeners = [];
const tabs = new BroadcastChannel(`photosieve-labels ${location.pathname}`);
let changes = 0;

// Call `listener(photos)` with the photos that have changed; with none where any may have.
export const onChange = (listener) => listeners.push(listener);

function notify(changed) {
  const known = Object.entries(changed.labels);
  byId("known").replaceChildren(...known.map(([label]) => make("option", { value: label })));
  const pressed = byId("query").value.trim().toLowerCase();
  byId("labels").replaceChildren(...known.map(([label, count]) =>
    make("button", { type: "button", class: "chip", "data-label": label, "aria-pressed": String(label.toLowerCase() === pressed) },
      `${label} `, make("span", {}, String(count)))));
  byId("learn")?.replaceChildren(changes ? `Learn (${changes})` : "Learn");
  for (const listener of listeners) listener(changed.photos);
  if (!changed.photos.length) refresh();
}

function took(changed, by) {
  changes = Math.max(0, changes + by);
  notify(changed);
  tabs.postMessage({ changed, changes });
}

tabs.onmessage = ({ data }) => {
  changes = data.changes;
  notify(data.changed);
};

// Another person may have changed labels while this tab was hidden.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden) return;
  const found = await ask("labels").catch(() => null);
  const shown = [...byId("labels").children].map((chip) => [chip.dataset.label, Number(chip.lastElementChild.textContent)]);
  if (found && JSON.stringify(Object.entries(found.labels)) !== JSON.stringify(shown)) notify({ photos: [], labels: found.labels });
});

async function change(path, method, body, describe, { quiet = false } = {}) {
  try {
    const changed = await ask(path, { method, body });
    took(changed, changed.photos.length);
    if (!quiet) toast(describe(changed.photos), "Undo", undo);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

// The labels of a photo in words. A photo without any may have a "no" to some, or to all.
export function summary({ labels, no }) {
  if (labels?.length) return labels.join(", ");
  if (!labels || no?.length === 0) return "not labeled";
  if (!no) return "none of the labels";
  return no.length > 3 ? `none of ${no.length} labels` : `not ${no.join(", ")}`;
}

const list = (photos) => (photos.length === 1 ? `${photos[0].name}: ${summary(photos[0])}` : `${photos.length} photos changed`);

export const edit = (photos, add, remove, how) => change("labels", "PATCH", { photos, add, remove }, list, how);

// Labels have changed in another way, on photos that are not named.
export const reload = (counts) => took({ photos: [], labels: counts }, 0);
export const set = (id, labels) => change("labels", "PUT", { photos: { [id]: labels } }, list);

export async function undo() {
  try {
    const changed = await ask("labels/undo", { method: "POST" });
    took(changed, -changed.photos.length);
    toast("Undone.");
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

export const learned = () => { changes = 0; byId("learn").textContent = "Learn"; };
