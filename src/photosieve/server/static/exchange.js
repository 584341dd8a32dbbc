// Files that go out and come in: photos of an answer, and labels.

import { ask, byId, failed, make, toast } from "./api.js";
import * as labels from "./labels.js";
import { current } from "./route.js";

const ANSWER = { zip: ["Photos", "one ZIP file"], csv: ["Table", "CSV, for a spreadsheet"], sheet: ["Contact sheet", "a page to look at and print"], links: ["Links", "one address in each line"] };
const LABELS = { json: ["photosieve", "JSON; keeps everything"], csv: ["photosieve", "CSV"], columns: ["Table", "a column for each label"], "metadata-csv": ["Hugging Face", "metadata.csv"],
  "metadata-jsonl": ["Hugging Face", "metadata.jsonl"], coco: ["COCO", "JSON"], "label-studio": ["Label Studio", "JSON"] };

const box = make("dialog", { id: "files", "aria-labelledby": "files-title" });
document.body.append(box);

// A dialog of this page: a title, a way out, and content.
export function dialog(element, title, ...content) {
  element.replaceChildren(make("div", { class: "head" }, make("h2", { id: element.getAttribute("aria-labelledby") }, title),
    make("button", { type: "button", class: "round plain", "aria-label": "Close", onclick: () => element.close() }, "✕")), ...content);
  if (!element.open) element.showModal();
}

const choices = (forms, action) => make("div", { class: "choices" }, ...Object.entries(forms).map(([form, [name, about]]) =>
  make("button", { type: "button", "data-form": form, onclick: (event) => action(form, event.currentTarget) }, make("b", {}, name), make("span", { class: "soft small" }, about))));

// Fetch a file and give it to the browser to save; an error is a sentence.
async function save(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `The server answers ${answer.status}.`);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "")?.[1] || "photosieve";
  const url = URL.createObjectURL(await answer.blob());
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  return answer.headers.get("Photosieve-Lost") || "";
}

async function running(button, action) {
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    failed(error);
  } finally {
    button.disabled = false;
  }
}

// Offer photos in several forms: those of a query, or those with the ids that are given.
export function files(title, wanted) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) for (const one of [value].flat()) if (one) parameters.append(key, one);
  const address = wanted.id ? "photos/download" : "search/download";
  dialog(box, title, choices(ANSWER, (form, button) => running(button, async () => {
    // A large file goes to the disk as it comes; the others are small.
    if (form === "zip") make("a", { href: `${address}?${parameters}&form=zip`, download: "" }).click();
    else await save(`${address}?${parameters}&form=${form}`);
    box.close();
  })));
}

byId("download")?.addEventListener("click", () => {
  const route = current();
  if (!route.q) return toast("Search first: the answer is what you download. Or select photos.");
  files(`Download the photos that match “${route.q}”`, { q: route.q, group: route.in, threshold: route.cut });
});

byId("export-labels")?.addEventListener("click", () => {
  dialog(box, "Export labels", make("p", { class: "soft" }, "All labels, in the form of the program that reads them next."),
    choices(LABELS, (form, button) => running(button, async () => {
      const lost = await save(`labels/export?form=${form}`);
      if (lost) dialog(box, "Labels exported", make("p", {}, "This form cannot hold everything:"), make("p", {}, lost));
      else box.close();
    })));
});

byId("import-labels")?.addEventListener("click", () => {
  const partial = make("input", { type: "checkbox", id: "partial" });
  const input = make("input", { type: "file", id: "labels-file", accept: ".json,.csv,.jsonl", "aria-label": "File of labels" });
  const form = make("form", { class: "stack", onsubmit: (event) => {
    event.preventDefault();
    if (input.files[0]) running(event.submitter, () => take(input.files[0], partial.checked));
  } }, make("p", { class: "soft" }, "Any form that you can export. Photos that the file names get its labels instead of theirs; you can undo that."),
  input, make("label", { class: "check" }, partial, "The lists are incomplete: labels that a list leaves out stay open"),
  make("div", { class: "buttons" }, make("button", { class: "main" }, "Import")));
  dialog(box, "Import labels", form);
});

async function take(file, partial) {
  const body = new FormData();
  body.set("file", file);
  body.set("partial", String(partial));
  const done = await ask("labels/import", { method: "POST", body });
  labels.reload(done.labels);
  const text = `${done.changed} of ${done.used} photos got other labels.`;
  if (done.unused_count) {
    dialog(box, "Labels imported", make("p", {}, text), make("p", {}, `${done.unused_count} entries were not used:`),
      make("ul", { class: "small" }, ...done.unused.map((sentence) => make("li", {}, sentence))));
  } else box.close();
  toast(text, done.changed ? "Undo" : "", labels.undo);
}
