// Upload: photos that are dropped anywhere on the page, or chosen, go into a building.

import { ask, byId, canChange, make, toast } from "./api.js";
import { dialog } from "./exchange.js";
import { current, refresh } from "./route.js";

const MOST_BYTES = 20e6;
const AT_ONCE = 2;
const box = make("dialog", { id: "uploads", "aria-labelledby": "uploads-title" });
const veil = make("div", { id: "veil", hidden: true }, make("p", {}, "Drop photos to add them"));
document.body.append(box, veil);
const state = make("p", { role: "status", class: "soft small" }); // below the list; a message would be behind the dialog
const waiting = []; // { file, group, row, bar, text }
let active = 0;
let stored = 0;
let watching = false;
let dropped = []; // files that wait for the name of their building

async function open(files = []) {
  dropped = files;
  const names = await ask("groups").catch(() => []);
  const group = make("input", { id: "upload-group", list: "upload-groups", required: true, maxlength: "120", autocomplete: "off", value: (box.open && byId("upload-group")?.value) || current().in, placeholder: "an existing building, or a new one" });
  const input = make("input", { type: "file", multiple: true, accept: "image/*,.heic,.jp2", id: "upload-files", hidden: files.length > 0, "aria-label": "Photos" });
  const list = make("ul", { class: "files" });
  const count = make("p", { class: "soft small" }, files.length ? `${files.length} ${files.length === 1 ? "file" : "files"} dropped; you can drop more` : "or drop photos anywhere on the page");
  const form = make("form", { class: "stack", onsubmit: (event) => {
    event.preventDefault();
    const chosen = [...files, ...input.files];
    if (!chosen.length) return input.click();
    files = dropped = [];
    send(chosen, group.value.trim(), list);
    form.remove();
    box.querySelector("button").focus(); // what had the focus is gone
  } }, make("label", { for: "upload-group" }, "Building"), group,
  make("datalist", { id: "upload-groups" }, ...names.slice(0, 1000).map((one) => make("option", { value: one.name }))),
  input, count, make("div", { class: "buttons" }, make("button", { class: "main" }, "Upload")));
  dialog(box, "Upload photos", form, list, state);
  if (!active && !waiting.length) state.textContent = "";
  group.focus();
}

function send(files, group, list) {
  for (const file of files) {
    const bar = make("progress", { max: "1", value: "0", "aria-label": `Progress of ${file.name}` });
    const text = make("span", { class: "soft small" }, "waiting");
    const row = make("li", {}, make("span", { class: "name" }, file.name), bar, text);
    list.append(row);
    if (file.size > MOST_BYTES) failedRow({ row, bar, text }, `it has ${Math.round(file.size / 1e6)} MB, and 20 MB is the most`);
    else waiting.push({ file, group, row, bar, text });
  }
  more();
}

function failedRow({ row, bar, text }, why) {
  row.classList.add("failed");
  bar.remove();
  text.className = "bad small";
  text.textContent = why;
}

function more() {
  while (active < AT_ONCE && waiting.length) {
    active += 1;
    one(waiting.shift()).finally(() => { active -= 1; more(); });
  }
}

async function one(upload) {
  upload.text.textContent = "sending";
  for (let tries = 0; ; tries += 1) {
    const { status, answer, wait } = await post(upload);
    if ((status === 429 || status === 503) && tries < 5) { // the server has too much to do now
      await new Promise((done) => { setTimeout(done, 1000 * (wait || 5)); });
      continue;
    }
    if (status !== 201) return failedRow(upload, answer.detail || "the server cannot be reached");
    upload.bar.value = 1;
    upload.text.textContent = answer.new ? (answer.name === upload.file.name ? "stored" : `stored as ${answer.name}`) : "was there already";
    upload.row.classList.add("done");
    stored += answer.new ? 1 : 0;
    watch(); // not waited for: the next file is sent
    return undefined;
  }
}

// XMLHttpRequest, since fetch does not say how much is sent.
function post({ file, group, bar }) {
  return new Promise((done) => {
    const body = new FormData();
    body.set("photo", file);
    body.set("group", group);
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.onloadend = () => done({ status: request.status, answer: request.response || {}, wait: Number(request.getResponseHeader("Retry-After")) });
    request.open("POST", "photos");
    request.send(body);
  });
}

// Say when the photos that were stored can be found.
async function watch() {
  if (watching) return;
  watching = true;
  for (;;) {
    await new Promise((done) => { setTimeout(done, 1000); });
    const found = await ask("uploads").catch(() => null);
    if (found?.waiting) state.textContent = found.error || `${found.waiting} stored, and soon ready to be found…`;
    if (found && !found.waiting && !active && !waiting.length) break;
  }
  watching = false;
  const text = stored ? `${stored} new ${stored === 1 ? "photo" : "photos"} can be found now.` : "No new photos.";
  stored = 0;
  state.textContent = text;
  if (!box.open) toast(text);
  refresh();
}

byId("upload")?.addEventListener("click", () => open());
addEventListener("beforeunload", (event) => { if (active || waiting.length) event.preventDefault(); });

const brings = (event) => canChange() && [...(event.dataTransfer?.types || [])].includes("Files");
let leaving;
addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  veil.hidden = false;
  clearTimeout(leaving); // while files are above the page, the event comes several times a second
  leaving = setTimeout(() => { veil.hidden = true; }, 1000);
});
addEventListener("drop", (event) => {
  veil.hidden = true;
  if (!brings(event)) return;
  event.preventDefault();
  if (event.dataTransfer.files.length) open([...(box.open ? dropped : []), ...event.dataTransfer.files]);
});
