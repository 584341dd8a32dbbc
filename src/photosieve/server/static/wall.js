// Photos without a query: buildings as tiles, all photos in an order, and photos like a photo.

import { alike, ask, byId, make, number, say } from "./api.js";
import { picture } from "./cards.js";
import { fill, fillWith } from "./grid.js";
import { go, write } from "./route.js";

const PAGE = 60;

function tile(building) {
  const route = { in: building.name };
  return make("a", { class: "tile", href: write(route), onclick: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(route);
  } }, make("span", { class: "cover" }, picture(building.cover, ""), building.test ? make("span", { class: "mark", title: "Kept for testing, never learned from" }, "test") : null),
  make("b", { title: building.name }, building.name),
  make("span", { class: "soft" }, number(building.photos, "photo", "photos"), building.labeled ? `, ${building.labeled === building.photos ? "all" : building.labeled} labeled` : ""),
  make("span", { class: "soft" }, Object.keys(building.labels).join(", ")));
}

// The words above the wall and the labels in the header, as the server says them now: photos may be
// labeled or learned since the page was opened, here or in another tab.
export async function renew(signal) {
  const page = new DOMParser().parseFromString(await fetch(".", { signal }).then((answer) => answer.text()), "text/html");
  if (!page.getElementById("start")) return; // the login, or an error
  document.body.dataset.trained = page.body.dataset.trained;
  for (const id of ["start", "labels", "known"]) byId(id).replaceChildren(...page.getElementById(id).children);
}

export async function buildings(signal) {
  async function page(offset) {
    const found = await ask(`groups?${new URLSearchParams({ offset, limit: PAGE })}`, { signal });
    const next = found.length < PAGE ? null : () => page(offset + PAGE);
    fillWith(found.map(tile), next, offset > 0);
  }
  await page(0);
  say("");
}

// The photos of a building, or of all; with a label, or without any.
export async function browse(route, signal) {
  const first = new URLSearchParams({ limit: "100" });
  if (route.in) first.set("group", route.in);
  if (route.label) first.set("label", route.label);
  if (route.labeled) first.set("labeled", String(route.labeled === "yes"));
  if (["name", "date"].includes(route.sort)) first.set("sort", route.sort);
  async function page(address, after) {
    const found = await ask(address, { signal });
    fill(found.photos, { next: found.next && (() => page(found.next, true)), after });
    if (!after) say(`${number(found.total, "photo", "photos")}${route.in ? ` in ${route.in}` : ""}${route.label ? ` labeled ${route.label}` : ""}.`);
  }
  await page(`photos?${first}`, false);
}

export async function similar(id, signal) {
  const { photos } = await alike(id, signal);
  fill(photos);
  say("Photos like the one that you chose, most alike first.");
}
