// The selected photos.

import { byId } from "./api.js";
import * as labels from "./labels.js";

const selected = new Set();
const listeners = [];

export const isSelected = (id) => selected.has(id);
export const onSelection = (listener) => listeners.push(listener); // listener(ids that changed)

function changed(ids) {
  byId("selection").hidden = !selected.size;
  byId("selected").textContent = `${selected.size} selected`;
  byId("results").classList.toggle("selecting", selected.size > 0);
  for (const listener of listeners) listener(ids);
}

export function toggle(id) {
  if (!selected.delete(id)) selected.add(id);
  changed([id]);
}

export function clear() {
  const ids = [...selected];
  selected.clear();
  changed(ids);
}

byId("clear").addEventListener("click", clear);
byId("bulk").addEventListener("submit", async (event) => {
  event.preventDefault();
  const label = byId("bulk-label").value.trim();
  if (!label) return byId("bulk-label").focus();
  const adds = event.submitter?.value !== "remove";
  if (await labels.edit([...selected], adds ? [label] : [], adds ? [] : [label])) {
    byId("bulk-label").value = "";
    clear();
  }
});
