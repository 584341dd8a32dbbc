// The cut: a histogram with the line, a slider that moves it, and a memory of moved cuts.

import { ask, byId, failed, number, say, toast } from "./api.js";
import { known } from "./cards.js";
import { fill } from "./grid.js";
import { histogram, nextCut } from "./next_cut.js";
import { cutOf, keepCut } from "./recent.js";
import { current, go, refresh } from "./route.js";

const BINS = 50;
const HEIGHT = 40;
const RULE = "the cut: the photos below do not match";
let answer = null;

// The cut to ask for: that of the address, or the one that this browser remembers; empty for the learned.
export const cutFor = (route) => route.cut || cutOf(route.q);

// What a person said of a photo decides, wherever the cut is.
const said = (photo) => known(photo, answer.query);

const all = () => [...answer.photos, ...answer.nearest];

export function hideCut() {
  answer = null;
  byId("cut").hidden = true;
}

export function showCut(found) {
  answer = found;
  byId("threshold").value = String(answer.threshold);
  byId("cut").hidden = !all().length;
  draw(answer.threshold, all());
}

function draw(at, photos) {
  byId("value").textContent = at.toFixed(2);
  byId("learned").disabled = answer.learned && at === answer.threshold;
  byId("own-cut")?.toggleAttribute("hidden", byId("learned").disabled || !label());
  const probabilities = photos.filter((photo) => !said(photo)).map((photo) => photo.probability);
  for (const [id, by, word] of [["more-photos", 1, "more"], ["fewer-photos", -1, "fewer"]]) {
    const next = nextCut(probabilities, at, by);
    byId(id).hidden = !next;
    byId(id).textContent = next ? `${next.photos} ${word} at ${next.cut.toFixed(2)}` : "";
    byId(id).value = next ? String(next.cut) : "";
  }
  curve(photos);
}

// Bars grow with the square root of the count, so that single photos beside many can be seen.
function curve(photos) {
  const shape = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const counts = histogram(photos, BINS);
  const most = Math.sqrt(Math.max(...counts.map(([kept, out]) => kept + out), 4));
  const height = (count) => (HEIGHT * 0.95 * Math.sqrt(count)) / most;
  const bar = (place, from, to, kind) => shape("rect", { x: place * (100 / BINS) + 0.2, y: HEIGHT - to, width: 100 / BINS - 0.4, height: to - from, class: kind });
  const bars = counts.flatMap(([kept, out], place) => [
    bar(place, 0, height(kept), "in"), bar(place, height(kept), height(kept + out), "not")]);
  const x = Number(byId("threshold").value) * 100; // above the handle, which has steps
  byId("curve").replaceChildren(...bars, shape("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: "cut" }));
}

// The label whose cut can be set: the query, if it is one.
const label = () => (answer.terms.length === 1 && !answer.terms[0].term.includes("|") ? answer.terms[0].label : null);

// While the slider moves, the loaded photos are cut again; when it rests, the server cuts all photos.
function slide() {
  if (!answer) return;
  const moved = Number(byId("threshold").value);
  const photos = all().map((photo) => ({ ...photo, kept: said(photo) ? said(photo) === "yes" : photo.probability >= moved }));
  const before = new Map(all().map((photo) => [photo.id, photo.kept]));
  const comes = photos.filter((photo) => photo.kept && !before.get(photo.id)).length;
  const goes = photos.filter((photo) => !photo.kept && before.get(photo.id)).length;
  fill(photos, { text: answer.query, rule: RULE });
  draw(moved, photos);
  say(`With a cut of ${moved.toFixed(2)}: ${number(comes, "photo comes", "photos come")} in, ${goes} ${goes === 1 ? "goes" : "go"} out.`);
}

function move(cut) {
  keepCut(answer.query, cut);
  if (current().cut === cut) refresh();
  else go({ cut }, { replace: Boolean(current().cut) });
}

async function setForLabel(threshold) {
  const name = label();
  try {
    await ask("labels/cut", { method: "PUT", body: { label: name, threshold } });
    toast(threshold === null ? `“${name}” has the learned cut again.` : `The cut of “${name}” is ${threshold.toFixed(2)} from now on.`,
      threshold === null ? null : "Undo", () => setForLabel(null));
    move("");
  } catch (error) {
    failed(error);
  }
}

byId("threshold").addEventListener("input", slide);
byId("threshold").addEventListener("change", () => move(byId("threshold").value));
for (const id of ["more-photos", "fewer-photos"]) byId(id).addEventListener("click", (event) => move(event.currentTarget.value));
byId("learned").addEventListener("click", () => (answer.own_cut ? setForLabel(null) : move("")));
byId("own-cut")?.addEventListener("click", () => setForLabel(Number(byId("threshold").value)));
