// The sliders: each moves one number of the cut; figures and lists are then drawn again.
(() => {
  const data = JSON.parse(document.getElementById("decisions").textContent);
  const learned = { ...data.cut, drop: data.cut.drop ?? Infinity };
  const questions = askAll(data);
  const atLearned = measure(questions, learned);
  const panel = document.getElementById("explore");
  const sliders = panel.querySelectorAll("input");
  const reset = panel.querySelector("button");
  const lists = [...document.querySelectorAll(".photos[data-label]")].map((box) => ({
    question: questions.find(
      (q) => q.label === Number(box.dataset.label) && q.building === Number(box.dataset.building),
    ),
    figures: [...box.querySelectorAll("figure")],
    none: box.querySelector(".none"),
    line: box.querySelector(".cut"),
    more: box.querySelector(".more"),
  }));
  let cut = { ...learned };

  const endsNoList = (drop) => drop >= 1; // probabilities are not negative: none falls by more

  function change(now, before) {
    const difference = now === null || before === null ? 0 : now - before;
    if (Math.abs(difference) < 0.0005) return "";
    return (difference > 0 ? "+" : "\u2212") + Math.abs(difference).toFixed(3);
  }

  function drawSliders() {
    for (const slider of sliders) {
      const name = slider.name;
      const value = name === "threshold" ? cut.floor : cut[name];
      let text = print(value, 3);
      if (name === "threshold" && cut.gate !== cut.floor) text = "differ";
      if (name === "drop") text = endsNoList(value) ? "off" : `${print(100 * value, 1)} %`;
      slider.value = Math.min(value, 1);
      slider.setAttribute("aria-valuetext", text);
      slider.nextElementSibling.textContent = text;
    }
    reset.disabled = ["gate", "floor", "drop"].every((name) => cut[name] === learned[name]);
  }

  function drawFigures(figures) {
    for (const cell of panel.querySelectorAll("[data-average]")) {
      const { average, figure } = cell.dataset;
      const now = figures[average][figure];
      cell.firstElementChild.textContent = print(now, 3);
      cell.lastElementChild.textContent = change(now, atLearned[average][figure]);
    }
    for (const number of panel.querySelectorAll("[data-empty]")) {
      number.textContent = figures.empty[number.dataset.empty];
    }
    for (const line of document.querySelectorAll(".tally")) {
      const counts = figures.labels[line.dataset.label];
      for (const part of line.children) {
        const value = counts[part.dataset.count];
        part.textContent = part.dataset.count === "f1" ? print(value, 2) : value;
      }
    }
  }

  function drawList(list) {
    const { question, figures, none, line, more } = list;
    const kept = countKept(question.probabilities, cut);
    if (kept === list.kept) return;
    list.kept = kept;
    const lastRight = question.right.lastIndexOf(1);
    const end = Math.max(kept + data.hiddenShown, lastRight + 1);
    figures.forEach((figure, rank) => {
      const isKept = rank < kept;
      const right = question.right[rank];
      const keptVerdict = right === null ? "unknown" : right ? "found" : "wrong";
      const verdict = isKept ? keptVerdict : right ? "missed" : "";
      figure.className = `photo ${verdict} ${isKept ? "" : "out"}`;
      figure.hidden = rank >= end;
      const tag = figure.querySelector(".tag");
      tag.textContent = data.verdicts[verdict] ?? "";
      tag.hidden = verdict === "";
    });
    none.hidden = kept > 0;
    line.hidden = kept >= figures.length;
    if (!line.hidden) figures[kept].before(line);
    const rest = question.photos.length - Math.min(end, figures.length);
    more.hidden = rest <= 0;
    more.querySelector("b").textContent = rest;
  }

  function draw() {
    drawSliders();
    drawFigures(measure(questions, cut));
    lists.forEach(drawList);
  }

  for (const slider of sliders) {
    slider.addEventListener("input", () => {
      const value = Number(slider.value);
      if (slider.name === "threshold") cut = { ...cut, gate: value, floor: value };
      else cut = { ...cut, [slider.name]: value };
      draw();
    });
  }
  reset.addEventListener("click", () => {
    cut = { ...learned };
    draw();
    sliders[0].focus();
  });
  panel.hidden = false;
  draw();

  // One building alone: the lists of the others are hidden.
  const only = document.getElementById("only");
  only.addEventListener("change", () => {
    for (const list of document.querySelectorAll(".photos[data-building]")) {
      list.parentElement.hidden = only.value !== "" && list.dataset.building !== only.value;
    }
    for (const rest of document.querySelectorAll(".query details")) {
      rest.open = only.value !== "";
      rest.classList.toggle("all", only.value !== "");
    }
  });
  document.getElementById("choice").hidden = data.buildings.every((one) => one === data.buildings[0]);

  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
})();
