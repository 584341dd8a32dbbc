// Learning: start and watch a training, compare the figures, keep or drop the new sieve.

import { ask, byId, failed, make, toast } from "./api.js";
import { learned } from "./labels.js";
import { refresh } from "./route.js";

const box = byId("lesson");
const show = (value) => (value === null ? "–" : value.toFixed(3));
const NAMES = { macro_f1: "F1, mean over labels", macro_precision: "precision", macro_recall: "recall", accuracy: "accuracy" };

function frame(title, ...content) {
  box.replaceChildren(make("h2", { id: "lesson-title" }, title), ...content.filter((part) => part));
  if (!box.open) box.showModal();
}

const close = (text = "Close") => make("button", { type: "button", onclick: () => box.close() }, text);

export async function learn() {
  try {
    watch(await ask("train", { method: "POST" }));
  } catch (error) {
    failed(error);
  }
}

function watch(job) {
  const bar = make("progress", { max: "1", value: "0", "aria-label": "Progress" });
  const stage = make("p", { role: "status" }, "Starting…");
  frame("Learning", stage, bar, make("p", { class: "soft" }, "You can search meanwhile; nothing changes until you keep the result."),
    make("div", { class: "buttons" },
      make("button", { type: "button", onclick: () => ask(`jobs/${job.id}`, { method: "DELETE" }).catch(failed) }, "Stop"), close("Hide")));
  const events = new EventSource(`jobs/${job.id}/events`);
  const update = (state) => {
    stage.textContent = `${state.stage[0].toUpperCase()}${state.stage.slice(1)}: ${state.done} of ${state.total}`;
    bar.value = state.done / Math.max(state.total, 1);
    if (state.state === "running") return;
    events.close();
    finish(state);
  };
  events.onmessage = (event) => update(JSON.parse(event.data));
  events.onerror = async () => {  // too many watch: ask now and then
    if (events.readyState !== EventSource.CLOSED) return;  // it connects again by itself
    for (let state = job; state.state === "running"; update(state)) {
      await new Promise((done) => { setTimeout(done, 1000); });
      state = await ask(`jobs/${job.id}`).catch(() => state);
    }
  };
}

function finish(job) {
  if (job.state === "cancelled") {
    box.close();
    return toast("Stopped; nothing has changed.");
  }
  if (job.state !== "done") return frame("It did not work", make("p", {}, job.error || "The training failed."), close());
  const { result } = job;
  const end = (action) => async (event) => {
    for (const button of box.querySelectorAll("button")) button.disabled = true;
    event.target.textContent = action === "keep" ? "Getting ready…" : "Dropping…";
    try {
      await ask(`jobs/${job.id}/${action}`, { method: "POST" });
      box.close();
      if (action === "keep") {
        document.body.dataset.trained = "yes";
        byId("start").replaceChildren(make("h1", {}, "What are you looking for?"), make("p", {}, "Type any words, or choose a label above."));
        learned();
      }
      toast(action === "keep" ? "Searches use the new sieve now." : "Dropped; the old sieve stays in use.");
      refresh();
    } catch (error) {
      failed(error);
      finish(job);
    }
  };
  frame("Before and after",
    make("p", {}, `Learned ${Object.keys(result.labels).length} labels from ${result.photos} photos of ${result.buildings} ${result.buildings === 1 ? "building" : "buildings"} in ${result.seconds} s.`),
    result.new_labels.length ? make("p", {}, `New: ${result.new_labels.join(", ")}.`) : null,
    result.lost_labels.length ? make("p", { class: "bad" }, `Lost, because no photo here has them: ${result.lost_labels.join(", ")}. Index the photos that they were learned from, and learn again.`) : null,
    result.notes.length ? make("details", {}, make("summary", {}, `Not used or too rare: ${result.notes.length} ${result.notes.length === 1 ? "note" : "notes"}`),
      make("ul", {}, ...result.notes.map((note) => make("li", {}, note)))) : null,
    ...figures(result.review),
    make("div", { class: "buttons" }, make("button", { type: "button", class: "main", onclick: end("keep") }, "Keep the new one"),
      make("button", { type: "button", onclick: end("drop") }, "Drop it")));
}

function figures(review) {
  if (!review) return [make("p", { class: "soft" }, "There are too few photos to evaluate it.")];
  const cell = (text, how) => make("td", how ? { class: how } : {}, text);
  const row = (name, before, after, more) => {
    const change = before === null || after === null ? 0 : after - before;
    return make("tr", {}, make("th", { scope: "row" }, name), cell(show(before)), cell(show(after), change > 0.0005 ? "up" : change < -0.0005 ? "down" : ""), cell(more));
  };
  const head = (...names) => make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
  const rows = Object.entries(review.figures).map(([name, f]) =>
    row(NAMES[name], f.before, f.after, f.interval[0] === null ? "–" : `${f.interval[0].toFixed(3)} to ${f.interval[1].toFixed(3)}`));
  const labels = [...review.labels].sort((a, b) => Math.abs((b.after ?? 0) - (b.before ?? 0)) - Math.abs((a.after ?? 0) - (a.before ?? 0)));
  return [
    make("p", { class: "soft" }, review.tested
      ? `On ${review.photos} photos of ${review.buildings} buildings that are kept for testing: neither sieve was trained on them.`
      : `On ${review.photos} labeled photos, each scored by a model that was not trained on its building.`),
    make("table", {}, head("", "before", "after", "95 % interval of the change"), make("tbody", {}, ...rows)),
    make("details", {}, make("summary", {}, "Label by label"), make("div", { class: "scroll", tabindex: "0" },
      make("table", {}, head("F1", "before", "after", "photos"), make("tbody", {}, ...labels.map((l) => row(l.label, l.before, l.after, String(l.photos))))))),
  ];
}
