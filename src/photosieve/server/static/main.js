// The page: views, keys and event listeners.

import { byId, say } from "./api.js";
import { begin } from "./label.js";
import { undo } from "./labels.js";
import { learn } from "./learn.js";
import { search, soon } from "./search.js";

function view(name) {
  const labeling = name === "label";
  byId("labeling").hidden = !labeling;
  byId("searching").hidden = labeling;
  byId("show-search").setAttribute("aria-pressed", String(!labeling));
  byId("show-label")?.setAttribute("aria-pressed", String(labeling));
  byId("cut").hidden = true;
  say("");
  if (labeling) begin();
  else search();
}

byId("show-search").addEventListener("click", () => view("search"));
byId("show-label")?.addEventListener("click", () => view("label"));
byId("begin")?.addEventListener("click", () => view("label"));
byId("learn")?.addEventListener("click", learn);

const searching = () => { if (byId("searching").hidden) view("search"); };
byId("search").addEventListener("submit", (event) => { event.preventDefault(); searching(); search(); });
byId("query").addEventListener("input", () => { searching(); soon(); });
byId("group").addEventListener("change", () => { searching(); search(); });
byId("labels").addEventListener("click", (event) => {
  const chip = event.target.closest("[data-label]");
  if (!chip) return;
  byId("query").value = chip.getAttribute("aria-pressed") === "true" ? "" : chip.dataset.label;
  searching();
  soon();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("query").focus();
    byId("query").select();
  } else if (event.key === "ArrowDown" && event.target.id === "query") {
    event.preventDefault();
    byId("results").querySelector(".open")?.focus();
  } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !typing && !document.body.dataset.readOnly) {
    event.preventDefault();
    undo();
  }
});

const address = new URLSearchParams(location.search);
byId("query").value = address.get("q") || "";
byId("group").value = address.get("in") || "";
if (byId("query").value || byId("group").value) search();
