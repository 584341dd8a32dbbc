// The labels of one photo to be ticked, with a number key for each of the first nine.

import { make, sameLabel } from "./api.js";
import { split } from "./vocabularies.js";

const MOST_SHOWN = 60;

const enough = (fact) => {
  const have = fact.yes - fact.test;
  if (!fact.wanted) return make("span", { class: "enough", role: "img", "aria-label": "enough to learn" }, "✓");
  return make("span", { class: "count", title: `${have} labeled, ${fact.wanted} more to learn it well` }, `${have}/${have + fact.wanted}`);
};

// `labels` are shown in this order; `guesses` are ticked at first; `facts` says how many photos have a
// label. `add(words)` is called for new labels.
export function ticks(photo, labels, guesses, facts, add) {
  let shown = labels.slice(0, MOST_SHOWN);
  const on = new Set(shown.filter((label) => guesses.some((guess) => sameLabel(guess, label))));
  const guessed = new Set(on);
  const list = make("div", { class: "toggles", role: "group", "aria-label": `Labels of ${photo.name}` });
  const chip = (label, number) => {
    const fact = facts.find((one) => sameLabel(one.label, label));
    return make("button", { type: "button", class: guessed.has(label) ? "chip guess" : "chip", "aria-pressed": String(on.has(label)), "data-tick": label,
      title: guessed.has(label) ? "A guess: correct it if it is wrong" : false, onclick: () => flip(label) },
    number < 9 ? make("kbd", {}, String(number + 1)) : null, label, fact ? enough(fact) : null);
  };
  const draw = () => list.replaceChildren(...shown.map(chip));
  const flip = (label) => {
    guessed.delete(label);
    on[on.has(label) ? "delete" : "add"](label);
    const held = document.activeElement?.dataset?.tick;
    draw();
    if (held) [...list.children].find((one) => one.dataset.tick === held)?.focus();
  };
  draw();
  return {
    element: list,
    press: (number) => shown[number] !== undefined && number < 9 && flip(shown[number]),
    take(text) { // tick the labels in a text, new ones too
      const fresh = split(text, shown);
      for (const word of split(text)) on.add(shown.find((label) => sameLabel(label, word)) ?? word);
      shown = [...shown, ...fresh];
      draw();
      if (fresh.length) add(fresh);
    },
    hidden: Math.max(labels.length - MOST_SHOWN, 0),
    // The labels that the photo has and has not; nothing is said about labels that are not shown.
    answer: () => ({ yes: shown.filter((label) => on.has(label)), no: shown.filter((label) => !on.has(label)) }),
  };
}
