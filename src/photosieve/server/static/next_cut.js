// Figures for the panel of the cut.

const STEPS = 20; // cuts that are offered are multiples of .05

// How many photos are in each of `bins` parts of the range, as [kept, others].
export function histogram(photos, bins) {
  const counts = Array.from({ length: bins }, () => [0, 0]);
  for (const photo of photos) counts[Math.min(bins - 1, Math.floor(photo.probability * bins))][photo.kept ? 0 : 1] += 1;
  return counts;
}

// The next cut between 0 and 1 that lets more photos in (`by` 1) or fewer (-1): { cut, photos }, or null.
export function nextCut(probabilities, cut, by) {
  const kept = (at) => probabilities.filter((p) => p >= at).length;
  const start = by > 0 ? Math.ceil(cut * STEPS - 1e-6) - 1 : Math.floor(cut * STEPS + 1e-6) + 1;
  for (let step = start; step > 0 && step < STEPS; step -= by) {
    const photos = (kept(step / STEPS) - kept(cut)) * by;
    if (photos > 0) return { cut: step / STEPS, photos };
  }
  return null;
}
