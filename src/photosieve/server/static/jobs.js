// The learning job: started here or in another tab, watched, and shown as a pill in the header.

import { ask, byId, failed, make } from "./api.js";

const AGAIN = 15000; // milliseconds between two looks while nothing runs: another person may learn
const listeners = [];
const tabs = new BroadcastChannel("photosieve-jobs");
let job = null;
let events = null;

// Call `listener(job, before)` whenever the state of the newest job changes.
export const onJob = (listener) => listeners.push(listener);
export const newest = () => job;

export async function start() {
  show(await ask("train", { method: "POST" }));
  tabs.postMessage("changed");
}

export const cancel = () => act(`jobs/${job.id}`, "DELETE");
export const keep = () => act(`jobs/${job.id}/keep`, "POST");
export const drop = () => act(`jobs/${job.id}/drop`, "POST");

async function act(path, method) {
  show(await ask(path, { method }));
  tabs.postMessage("changed");
}

// Seconds in words: the same as in the terminal, see progress.py.
export function left(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 57.5) return `about ${Math.max(Math.round(seconds / 5), 1) * 5} s left`;
  return `about ${Math.max(Math.round(seconds / 60), 1)} min left`;
}

export const sentence = (text) => text[0].toUpperCase() + text.slice(1);
export const stages = (state) => [sentence(state.stage), state.percent ? `${state.percent} %` : "", left(state.seconds_left)].filter(Boolean);

const WAITING = { done: "Result is ready", failed: "Learning failed", interrupted: "Learning stopped" };

function show(state) {
  const before = job;
  job = state;
  const running = job.state === "running";
  const pill = byId("job");
  const text = running ? stages(job).join(" · ") : WAITING[job.state];
  // A failure is shown as long as the page is open that saw it, a result until it is kept or dropped.
  pill.hidden = !text || (job.state !== "done" && !running && !before);
  const ring = make("i", { class: "ring" });
  ring.style.setProperty("--part", job.percent);
  pill.replaceChildren(...(running ? [ring] : []), text || "");
  byId("learn")?.toggleAttribute("hidden", running || job.state === "done"); // the pill opens it
  if (running) watch();
  else events?.close();
  for (const listener of listeners) listener(job, before);
}

function watch() {
  if (events && events.job === job.id && events.readyState !== EventSource.CLOSED) return;
  events?.close();
  const source = new EventSource(`jobs/${job.id}/events`);
  source.job = job.id;
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => {  // too many watch, or the server starts again: ask now and then
    if (source.readyState === EventSource.CLOSED) setTimeout(look, 1000);
  };
  events = source;
}

async function look() {
  let found;
  try {
    [found] = await ask("jobs");
  } catch {
    if (job?.state === "running") setTimeout(look, 2000);
    return;
  }
  if (found && JSON.stringify(found) !== JSON.stringify(job)) show(found);
  else if (found?.state === "running") watch();
}

export const hidePill = () => { byId("job").hidden = true; };
tabs.onmessage = look;
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
setInterval(() => { if (!document.hidden && job?.state !== "running") look(); }, AGAIN);
look().catch(failed);
