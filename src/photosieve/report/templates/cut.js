"use strict";
// The cut of decision/cut.py and the figures of decision/evaluation.py, for a reader who moves the
// cut. Nothing here changes the page; tests compare the results with those of Python.

/** Fraction by which a probability is lower than the one before it; a fall from zero is infinite. */
function fall(previous, current) {
  if (previous === current) return 0;
  return previous === 0 ? Infinity : (previous - current) / Math.abs(previous);
}

/** Number of photos of a list, best first, that the cut keeps; these are always the first ones. */
function countKept(ranked, cut) {
  if (ranked.length === 0 || ranked[0] < cut.gate) return 0;
  let kept = 1;
  while (
    kept < ranked.length &&
    ranked[kept] > cut.floor &&
    fall(ranked[kept - 1], ranked[kept]) <= cut.drop
  ) {
    kept += 1;
  }
  return kept;
}

/**
 * Every label asked in every building, each with its photos ranked; of equals the first is better.
 *
 * data.buildings: the building of each photo, as a number; data.probabilities and data.relevant:
 * one row a label, one column a photo. Relevance is 1, 0, or null where it is unknown.
 */
function askAll(data) {
  const members = [];
  data.buildings.forEach((building, photo) => (members[building] ??= []).push(photo));
  return data.probabilities.flatMap((row, label) =>
    members.map((photos, building) => {
      const order = [...photos].sort((a, b) => row[b] - row[a] || a - b);
      return {
        label,
        building,
        photos: order,
        probabilities: order.map((photo) => row[photo]),
        right: order.map((photo) => data.relevant[label][photo]),
      };
    }),
  );
}

/** Precision, recall and F1 of counts; null where nothing can be divided. */
function ratios({ tp, fp, fn }) {
  const ratio = (part, whole) => (whole === 0 ? null : part / whole);
  return {
    precision: ratio(tp, tp + fp),
    recall: ratio(tp, tp + fn),
    f1: ratio(2 * tp, 2 * tp + fp + fn),
  };
}

/** Figures of a cut over all questions: per label, both averages, and the use of "none". */
function measure(questions, cut) {
  const labels = [];
  const total = { tp: 0, fp: 0, fn: 0 };
  const empty = { asked: 0, right: 0, answerable: 0, wrong: 0 };
  for (const { label, probabilities, right } of questions) {
    const kept = countKept(probabilities, cut);
    const matches = right.filter(Boolean).length;
    const hits = right.slice(0, kept).filter(Boolean).length;
    const mistakes = right.slice(0, kept).filter((value) => value === 0).length;
    const counts = (labels[label] ??= { tp: 0, fp: 0, fn: 0 });
    for (const sum of [counts, total]) {
      sum.tp += hits;
      sum.fp += mistakes;
      sum.fn += matches - hits;
    }
    if (matches === 0 && right.includes(null)) continue; // some photo may match, or none
    empty[matches ? "answerable" : "asked"] += 1;
    if (kept === 0) empty[matches ? "wrong" : "right"] += 1;
  }
  const perLabel = labels.map((counts) => ({ ...counts, ...ratios(counts) }));
  const mean = (name) => {
    const defined = perLabel.map((row) => row[name]).filter((value) => value !== null);
    return defined.length ? defined.reduce((sum, value) => sum + value, 0) / defined.length : null;
  };
  return {
    labels: perLabel,
    macro: { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") },
    micro: ratios(total),
    empty,
  };
}

/** A number as the rest of the page prints it: as Python does, a tie goes to the even digit. */
function print(value, digits) {
  if (value === null) return "-";
  const isTie = (value * 16) % 1 === 0; // to 2 or 3 digits, only sixteenths are exactly between
  const below = Math.max(value - 1e-9, 0).toFixed(digits);
  return isTie && "02468".includes(below.at(-1)) ? below : value.toFixed(digits);
}
