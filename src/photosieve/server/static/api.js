// Requests to the server. A failed request throws an Error with one sentence for people.

export async function ask(path, { method = "GET", body, signal } = {}) {
  let answer;
  const json = body !== undefined && !(body instanceof FormData);
  try {
    answer = await fetch(path, {
      method,
      signal,
      headers: json ? { "Content-Type": "application/json" } : {},
      body: json ? JSON.stringify(body) : body,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("The server cannot be reached. Is it still running?"), { unreachable: true });
  }
  if (answer.status === 401) {
    location.assign("login");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.detail || `The server answers ${answer.status}.`);
  return data;
}

export function alike(id, signal) {
  const body = new FormData();
  body.set("id", id);
  return ask("search/photo", { method: "POST", body, signal });
}

// Make an element; children may be elements or texts. Text is never read as HTML.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// "1 photo", "2 photos".
export const number = (count, one, many) => `${count} ${count === 1 ? one : many}`;
export const byId = (id) => document.getElementById(id);
export const canChange = () => !document.body.dataset.readOnly;
// The server compares labels in the same way: see data/names.py.
const labelKey = (text) => text.normalize("NFKC").replace(/[\u2010-\u2015\u2212]/g, "-").replace(/[\u2018\u2019]/g, "'").trim().toLowerCase();
export const sameLabel = (a, b) => labelKey(a) === labelKey(b);

// Show a message for a few seconds, with an optional action. An open dialog would cover it: then it is
// a part of the dialog.
const box = byId("toast");
let fading;
export function toast(text, action, act) {
  ([...document.querySelectorAll("dialog[open]")].at(-1) || document.body).append(box);
  clearTimeout(fading);
  box.replaceChildren(text);
  if (action) box.append(make("button", { type: "button", onclick: () => { box.hidden = true; act(); } }, action));
  box.hidden = false;
  fading = setTimeout(() => { box.hidden = true; }, action ? 10000 : 6000);
}

export const say = (text) => { byId("status").textContent = text; };
export const failed = (error) => { if (error.name !== "AbortError") toast(error.message); };
