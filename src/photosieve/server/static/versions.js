// Earlier sieves: each with its date, labels and figures, and one click away.

import { ask, byId, failed, make, toast } from "./api.js";
import { refresh } from "./route.js";

const box = byId("versions");
const date = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

export async function showVersions() {
  let versions;
  try {
    versions = await ask("versions");
  } catch (error) {
    return failed(error);
  }
  const close = make("button", { type: "button", class: "plain round", "aria-label": "Close", onclick: () => box.close() }, "✕");
  box.replaceChildren(make("div", { class: "head" }, make("h2", { id: "versions-title" }, "Versions"), close),
    make("p", { class: "soft" }, versions.length
      ? "Every sieve that was kept is here, the last 20 of them. Labels are not changed by going back."
      : "There is one sieve so far. Each one that you keep after learning is listed here, and you can go back to it."),
    make("ul", { class: "plain-list versions" }, ...versions.map(row)));
  if (!box.open) box.showModal();
}

function row(version) {
  const names = Object.keys(version.labels);
  const f1 = version.figures.macro_f1?.after;
  const facts = [version.id === "first" ? "before the first learning here" : "", `${names.length} ${names.length === 1 ? "label" : "labels"}`, typeof f1 === "number" ? `F1 ${f1.toFixed(3)} when it was kept` : ""];
  return make("li", {},
    make("div", {}, make("b", {}, date(version.made)), make("p", { class: "small soft", title: names.join(", ") }, facts.filter(Boolean).join(" · "))),
    version.used ? make("span", { class: "soft" }, "in use") : make("button", { type: "button", onclick: (event) => use(version, event.target) }, "Use this one"));
}

async function use(version, button) {
  button.disabled = true;
  button.textContent = "Getting ready…";
  try {
    await ask(`versions/${version.id}/use`, { method: "POST" });
    toast(`Searches use the sieve of ${date(version.made)} now.`);
    box.close();
    refresh();
  } catch (error) {
    failed(error);
    showVersions();
  }
}

byId("show-versions")?.addEventListener("click", showVersions);
