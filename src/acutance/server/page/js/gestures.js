/** Pointer, wheel and keys on the stage: zoom, move, divider, loupe. */
import { byId } from "./dom.js";
import { percent, text } from "./language.js";

const KEY_PAN_PX = 60;
const KEY_ZOOM = 1.25;
const DIVIDER_STEP = 0.02;
const DIVIDER_LEAP = 0.1;

/** Wheel distance that doubles the size, in CSS pixels. */
const WHEEL_DOUBLE_PX = 300;
const LINE_PX = 16;

/** Let the stage be worked by pointer and keys; `toggleLoupe` and `step(±1)` (to another picture) are the caller's. */
export function addGestures(stage, { toggleLoupe, step }) {
  const box = byId("stage");
  addPointers(stage, box);
  addWheel(stage, box);
  addDividerKeys(stage);
  box.addEventListener("dblclick", (event) => {
    if (event.target.closest("button")) return;
    if (stage.isZoomedIn) stage.fit();
    else stage.zoomTo(Math.max(1, stage.view.scale * 2), { x: event.clientX, y: event.clientY });
  });
  onStageKeys(keyActions(stage, { toggleLoupe, step }));
  box.addEventListener("keyup", (event) => event.key === " " && stage.setHeld(false));
  box.addEventListener("blur", () => stage.setHeld(false));
}

/** Call functions by the keys, in lower case, that are pressed on the stage itself. */
export function onStageKeys(actions) {
  const box = byId("stage");
  box.addEventListener("keydown", (event) => {
    const act = event.target === box && !isModified(event) && actions[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function isModified({ ctrlKey, metaKey, altKey }) {
  return ctrlKey || metaKey || altKey;
}

function keyActions(stage, { toggleLoupe, step }) {
  return {
    "+": () => stage.zoomBy(KEY_ZOOM),
    "=": () => stage.zoomBy(KEY_ZOOM),
    "-": () => stage.zoomBy(1 / KEY_ZOOM),
    "0": () => stage.fit(),
    "1": () => stage.zoomTo(1),
    "arrowleft": () => stage.panBy(KEY_PAN_PX, 0),
    "arrowright": () => stage.panBy(-KEY_PAN_PX, 0),
    "arrowup": () => stage.panBy(0, KEY_PAN_PX),
    "arrowdown": () => stage.panBy(0, -KEY_PAN_PX),
    "[": () => stage.setDivider(stage.divider - DIVIDER_STEP),
    "]": () => stage.setDivider(stage.divider + DIVIDER_STEP),
    " ": () => stage.setHeld(true),
    "l": toggleLoupe,
    "pageup": () => step(-1),
    "pagedown": () => step(1),
  };
}

function addPointers(stage, box) {
  const pointers = new Map();
  let isDividing = false;

  const spread = () => {
    const [first, second] = [...pointers.values()];
    return Math.hypot(first.x - second.x, first.y - second.y);
  };
  const middle = () => {
    const all = [...pointers.values()];
    return { x: all.reduce((sum, p) => sum + p.x, 0) / all.length, y: all.reduce((sum, p) => sum + p.y, 0) / all.length };
  };
  const divide = (event) => {
    const { left, width } = box.getBoundingClientRect();
    stage.setDivider((event.clientX - left) / width);
  };

  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button")) return;
    const isOnDivider = Boolean(event.target.closest("#divider"));
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    // Where all of the picture is seen there is nothing to move: a drag anywhere moves the divider.
    isDividing = pointers.size === 1 && !stage.isSideBySide && stage.hasBoth && (isOnDivider || !stage.isZoomedIn);
    box.setPointerCapture(event.pointerId);
    box.classList.add("is-dragging");
    if (isDividing && !isOnDivider && event.pointerType === "mouse") divide(event);
    (isOnDivider ? byId("divider") : box).focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  box.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    if (isDividing && pointers.size === 1) {
      divide(event);
    } else {
      const [from, wide] = [middle(), pointers.size > 1 ? spread() : 0];
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const to = middle();
      stage.panBy(to.x - from.x, to.y - from.y);
      if (wide > 0) stage.zoomBy(spread() / wide, to);
    }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  const release = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) {
      isDividing = false;
      box.classList.remove("is-dragging");
    }
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) box.addEventListener(name, release);
}

function addWheel(stage, box) {
  const turn = (event) => {
    event.preventDefault();
    const distance = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * LINE_PX : event.deltaY;
    const speed = event.ctrlKey ? 4 : 1; // a pinch on a trackpad comes as small steps with Ctrl
    stage.zoomBy(2 ** ((-distance * speed) / WHEEL_DOUBLE_PX), { x: event.clientX, y: event.clientY });
  };
  box.addEventListener("wheel", turn, { passive: false });
}

function addDividerKeys(stage) {
  const divider = byId("divider");
  const steps = {
    ArrowLeft: -DIVIDER_STEP,
    ArrowDown: -DIVIDER_STEP,
    ArrowRight: DIVIDER_STEP,
    ArrowUp: DIVIDER_STEP,
    PageDown: -DIVIDER_LEAP,
    PageUp: DIVIDER_LEAP,
    Home: -1,
    End: 1,
  };
  divider.addEventListener("keydown", (event) => {
    const by = steps[event.key];
    if (by === undefined || isModified(event)) return;
    event.preventDefault();
    stage.setDivider(stage.divider + (event.shiftKey ? 5 * by : by));
  });
  const tell = () => {
    const share = stage.divider;
    divider.style.setProperty("--at", share);
    divider.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    divider.setAttribute("aria-valuetext", text("divider.value", { percent: percent(share) }));
  };
  stage.addEventListener("divider", tell);
  tell();
}
