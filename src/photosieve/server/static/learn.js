// Learning: start a training, compare the figures, keep or drop the new sieve.

import { byId, failed, make, toast } from "./api.js";
import { cancel, drop, hidePill, keep, newest, onJob, sentence, stages, start } from "./jobs.js";
import { learned } from "./labels.js";
import { refresh } from "./route.js";

const box = byId("lesson");
const show = (value) => (value === null ? "–" : value.toFixed(3));
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;
const NAMES = { macro_f1: "F1, mean over labels", macro_precision: "precision", macro_recall: "recall", accuracy: "accuracy" };
const CHANGED_LABELS = 6;

function frame(title, content, ...buttons) {
  const close = make("button", { type: "button", class: "plain round", "aria-label": "Close", onclick: () => box.close() }, "✕");
  box.replaceChildren(make("div", { class: "head" }, make("h2", { id: "lesson-title" }, title), close),
    ...content.filter(Boolean), make("div", { class: "buttons" }, ...buttons));
  if (!box.open) box.showModal();
}

const button = (text, onclick, main = false) => make("button", { type: "button", class: main ? "main" : "", onclick }, text);

// Start to learn, or show what runs or waits.
export async function learn() {
  if (["running", "done"].includes(newest()?.state)) open();
  else await again();
}

async function again() {
  try {
    await start();
    open();
  } catch (error) {
    failed(error);
  }
}

export function open() {
  const job = newest();
  if (!job) return;
  if (job.state === "running") running(job);
  else if (job.state === "done") finished(job);
  else frame("Nothing was learned", [make("p", {}, `${sentence(job.error || "the training failed")}.`)],
    button("Try again", again, true), button("Close", () => { hidePill(); box.close(); }));
}

function running(job) {
  const bar = make("progress", { max: "100", value: String(job.percent), "aria-label": "Progress" });
  frame("Learning", [make("p", { id: "stage", role: "status" }, stages(job).join(", ")), bar, make("div", { id: "first" }, ...early(job)),
    make("p", { class: "soft" }, "You can search and label meanwhile, or close the page: the result waits here. Nothing changes until you keep it.")],
  button("Go on working", () => box.close(), true), button("Stop learning", () => cancel().catch(failed)));
}

const early = (job) => (job.first ? [make("p", { class: "soft small" }, "First figures; the cut is still being learned:"), verdict(job.first)] : []);

onJob((job, before) => {
  if (job.state === "kept" && before && before.state !== "kept") {
    document.body.dataset.trained = "yes";
    learned();
    refresh();
  }
  if (!box.open) return;
  if (job.state === "running" && box.querySelector("#stage")) {
    box.querySelector("#stage").textContent = stages(job).join(", ");
    box.querySelector("progress").value = job.percent;
    if (job.first && !before.first) box.querySelector("#first").replaceChildren(...early(job));
  } else if (["done", "failed", "interrupted"].includes(job.state)) {
    if (before?.state !== job.state) open();
  } else box.close();
});

function end(action, waiting, done) {
  return async (event) => {
    for (const one of box.querySelectorAll("button")) one.disabled = true;
    event.target.textContent = waiting;
    try {
      await action();
      toast(done);
    } catch (error) {
      failed(error);
      open();
    }
  };
}

function finished(job) {
  const { result } = job;
  const { review } = result;
  const better = review?.verdict !== "worse" && !result.lost_labels.length;
  const keeping = button("Keep the new one", end(keep, "Getting ready…", "Searches use the new sieve now. “More”, “Versions” brings the old one back."), better);
  const dropping = button("Keep the old one", end(drop, "Dropping…", "Dropped; the old sieve stays in use."), !better);
  frame("Before and after", [
    ...(review ? [verdict(review)] : [make("p", { class: "soft" }, "There are too few photos to evaluate it.")]),
    make("p", { class: "small soft" }, `Learned ${count(Object.keys(result.labels).length, "label", "labels")} from ${count(result.photos, "photo", "photos")} of ${count(result.buildings, "building", "buildings")} in ${result.seconds} s.`),
    result.lost_labels.length ? make("p", { class: "bad" }, `Lost, because no photo here has them: ${result.lost_labels.join(", ")}. Index the photos that they were learned from, and learn again.`) : null,
    ...(review ? [...added(review), ...changes(review), ...figures(review)] : added({ new: result.new_labels.map((label) => ({ label, after: null })) })),
    result.notes.length ? make("details", {}, make("summary", {}, count(result.notes.length, "note on photos or labels that are not used or too rare", "notes on photos and labels that are not used or too rare")),
      make("ul", {}, ...result.notes.map((note) => make("li", {}, note)))) : null,
  ], ...(better ? [keeping, dropping] : [dropping, keeping]), button("Learn again", again));
}

function verdict(review) {
  const { difference, interval: [low, high] } = review.figures.macro_f1;
  const range = low === null ? "all photos are of one building, which is too little to tell" : `95 % interval ${signed(low)} to ${signed(high)}`;
  const change = difference === null ? "" : ` F1 ${signed(difference)} (${range}).`;
  const words = { better: "The new sieve is better.", worse: "The new sieve is worse." }[review.verdict] || "No clear difference.";
  return make("p", { class: `outcome ${review.verdict === "better" ? "up" : review.verdict === "worse" ? "down" : ""}` }, make("b", {}, words), change);
}

function added(review) {
  if (!review.new.length) return [];
  const name = ({ label, after, photos }) => make("li", {}, make("b", {}, label), after === null ? ": new, not tested yet" : `: new, F1 ${show(after)} on ${count(photos, "photo", "photos")}`);
  return [make("h3", {}, "New labels"), make("ul", { class: "plain-list" }, ...review.new.map(name))];
}

// The labels that changed most, with the photos whose answers got right or wrong.
function changes(review) {
  const moved = review.labels.filter((one) => one.changed[0] + one.changed[1] > 0).sort((a, b) => b.changed[0] + b.changed[1] - a.changed[0] - a.changed[1]);
  if (!moved.length) return [make("p", {}, "No answer changed.")];
  const picture = (kind, label) => (id) => make("a", { href: `photos/${id}`, target: "_blank", class: `shot ${kind}` },
    make("img", { src: `thumbnails/${id}`, alt: `${label}: answer ${kind === "right" ? "is right now" : "is wrong now"}`, loading: "lazy" }));
  const row = (one) => make("div", { class: "moved" },
    make("p", {}, make("b", {}, one.label), ` ${one.changed[0]} now right, ${one.changed[1]} now wrong`, one.verdict ? make("span", { class: one.verdict === "better" ? "up" : "down" }, ` ${one.verdict}`) : ""),
    make("div", { class: "shots" }, ...one.right.map(picture("right", one.label)), ...one.wrong.map(picture("wrong", one.label))));
  return [make("h3", {}, "Answers that changed"), ...moved.slice(0, CHANGED_LABELS).map(row),
    moved.length > CHANGED_LABELS ? make("details", {}, make("summary", {}, `${moved.length - CHANGED_LABELS} more labels`), ...moved.slice(CHANGED_LABELS).map(row)) : null].filter(Boolean);
}

function figures(review) {
  const cell = (text, how) => make("td", how ? { class: how } : {}, text);
  const row = (name, before, after, more, how) => make("tr", {}, make("th", { scope: "row" }, name), cell(show(before)), cell(show(after), how), cell(more));
  const head = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
  const clear = ([low, high]) => (low !== null && low > 0 ? "up" : high !== null && high < 0 ? "down" : "");  // in color only outside the noise
  const rows = Object.entries(review.figures).map(([name, f]) =>
    row(NAMES[name], f.before, f.after, f.interval[0] === null ? "–" : `${signed(f.interval[0])} to ${signed(f.interval[1])}`, clear(f.interval)));
  const labels = review.labels.map((l) => row(l.label, l.before, l.after, String(l.photos), { better: "up", worse: "down" }[l.verdict]));
  const both = `the ${count(review.labels.length, "label", "labels")} that both know`;
  return [
    make("details", {}, make("summary", {}, "Figures"),
      make("p", { class: "soft small" }, review.tested
        ? `For ${both}, on ${count(review.photos, "photo", "photos")} of ${count(review.buildings, "building", "buildings")} kept for testing: neither sieve was trained on them.`
        : `For ${both}, on ${count(review.photos, "labeled photo", "labeled photos")}, each scored by a model that was not trained on its building.`),
      make("table", {}, head("", "before", "after", "95 % interval of the change"), make("tbody", {}, ...rows)),
      make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "F1 of each label" }, make("table", {}, head("F1", "before", "after", "photos"), make("tbody", {}, ...labels)))),
  ];
}

byId("job").addEventListener("click", open);
