// The cut: a histogram with the line, a slider that moves it, and a memory of moved cuts.

import { byId, say } from "./api.js";
import { fill } from "./grid.js";
import { current, go } from "./route.js";

let answer = null;

const number = (count, one, many) => `${count} ${count === 1 ? one : many}`;
export const usualCut = () => "";

export function hideCut() {
  answer = null;
  byId("cut").hidden = true;
}

export function showCut(found) {
  answer = found;
  const cut = byId("threshold");
  cut.value = String(answer.threshold);
  byId("value").textContent = answer.threshold.toFixed(2);
  byId("learned").disabled = answer.learned;
  byId("cut").hidden = !(answer.photos.length + answer.nearest.length);
  curve(answer.threshold);
}

function curve(at) {
  const svg = byId("curve");
  const draw = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const bins = Array.from({ length: 50 }, () => [0, 0]);
  for (const photo of [...answer.photos, ...answer.nearest]) bins[Math.min(49, Math.floor(photo.probability * 50))][photo.probability >= at ? 0 : 1] += 1;
  const most = Math.max(...bins.map(([a, b]) => a + b), 4);
  const bars = bins.flatMap(([kept, out], place) => [
    draw("rect", { x: place * 2 + 0.2, y: 40 - (38 * kept) / most, width: 1.6, height: (38 * kept) / most, class: "in" }),
    draw("rect", { x: place * 2 + 0.2, y: 40 - (38 * (kept + out)) / most, width: 1.6, height: (38 * out) / most, class: "not" }),
  ]);
  svg.replaceChildren(...bars, draw("line", { x1: at * 100, x2: at * 100, y1: 0, y2: 40, class: "cut" }));
}

// While the slider moves, the loaded photos are cut again; when it rests, the server cuts all photos.
function slide() {
  if (!answer) return;
  const moved = Number(byId("threshold").value);
  byId("value").textContent = moved.toFixed(2);
  byId("learned").disabled = false;
  const before = new Map([...answer.photos, ...answer.nearest].map((photo) => [photo.id, photo.kept]));
  const all = [...answer.photos, ...answer.nearest].map((photo) => ({ ...photo, kept: photo.probability >= moved }));
  const comes = all.filter((photo) => photo.kept && !before.get(photo.id)).length;
  const goes = all.filter((photo) => !photo.kept && before.get(photo.id)).length;
  fill(all, { text: answer.query, rule: "the cut: the photos below do not match" });
  curve(moved);
  say(`With a cut of ${moved.toFixed(2)}: ${number(comes, "photo comes", "photos come")} in, ${goes} ${goes === 1 ? "goes" : "go"} out.`);
}

byId("threshold").addEventListener("input", slide);
byId("threshold").addEventListener("change", () => go({ cut: byId("threshold").value }, { replace: Boolean(current().cut) }));
byId("learned").addEventListener("click", () => go({ cut: "" }));
