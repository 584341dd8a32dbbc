// Zoom and pan of a picture with wheel, mouse, fingers and keys; and swipes where it is not zoomed.

const MOST = 8;
const SWIPE = 60; // pixels

// Where the picture is after a zoom by `factor` about a point, all relative to the middle of the stage.
export function zoomed({ scale, x, y }, factor, at) {
  const next = Math.min(Math.max(scale * factor, 1), MOST);
  const by = next / scale;
  return next === 1 ? { scale: 1, x: 0, y: 0 } : { scale: next, x: at.x - (at.x - x) * by, y: at.y - (at.y - y) * by };
}

// Keep the picture over the stage: at most its own overhang on each side.
export function held({ scale, x, y }, width, height) {
  const limit = (value, size) => Math.min(Math.max(value, (-size * (scale - 1)) / 2), (size * (scale - 1)) / 2);
  return { scale, x: limit(x, width), y: limit(y, height) };
}

// `swipe(by)` is called with 1 or -1, `leave` for a press beside the picture or a swipe down.
export function zoom(stage, image, { swipe, leave }) {
  let place = { scale: 1, x: 0, y: 0 };
  const fingers = new Map();
  let start = null; // of a gesture: { x, y, moved, spread }

  const middle = () => {
    const box = stage.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  };
  const seen = (event) => ({ x: event.clientX - middle().x, y: event.clientY - middle().y });
  function put(next) {
    place = held(next, stage.clientWidth, stage.clientHeight);
    image.style.transform = place.scale === 1 ? "" : `translate(${place.x}px, ${place.y}px) scale(${place.scale})`;
    stage.classList.toggle("zoomed", place.scale > 1);
  }
  const by = (factor, at = { x: 0, y: 0 }) => put(zoomed(place, factor, at));

  // Whether a point is on the picture, which does not fill the stage.
  function onPicture(event) {
    const fit = Math.min(stage.clientWidth / image.naturalWidth, stage.clientHeight / image.naturalHeight);
    const at = seen(event);
    return place.scale > 1 || (Math.abs(at.x) <= (image.naturalWidth * fit) / 2 && Math.abs(at.y) <= (image.naturalHeight * fit) / 2);
  }
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  stage.addEventListener("wheel", (event) => { event.preventDefault(); by(event.deltaY < 0 ? 1.2 : 1 / 1.2, seen(event)); }, { passive: false });
  image.addEventListener("dblclick", (event) => (place.scale > 1 ? put({ scale: 1, x: 0, y: 0 }) : by(2.5, seen(event))));
  image.addEventListener("dragstart", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    if (event.target !== image && event.target !== stage) return;
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, seen(event));
    if (fingers.size === 1) start = { ...seen(event), from: place, moved: false };
    else start.spread = spread();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, seen(event));
    const at = seen(event);
    start.moved ||= Math.hypot(at.x - start.x, at.y - start.y) > 8;
    if (fingers.size === 2) {
      by(spread() / start.spread, at);
      start.spread = spread();
    } else if (place.scale > 1 && start.spread === undefined) put({ scale: place.scale, x: start.from.x + at.x - start.x, y: start.from.y + at.y - start.y });
  });
  stage.addEventListener("pointerup", (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size || start.spread !== undefined) return;
    const at = seen(event);
    const [dx, dy] = [at.x - start.x, at.y - start.y];
    if (!start.moved) {
      if (!onPicture(event)) leave();
    } else if (place.scale === 1 && event.pointerType !== "mouse") {
      if (Math.abs(dx) > SWIPE && Math.abs(dx) > Math.abs(dy)) swipe(dx < 0 ? 1 : -1);
      else if (dy > SWIPE * 1.5) leave();
    }
  });
  stage.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  return { by, reset: () => put({ scale: 1, x: 0, y: 0 }) };
}
