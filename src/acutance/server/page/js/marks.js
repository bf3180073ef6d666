/** Marks that are drawn on the stage with a pointer: a rectangle around what is wanted, a line along what moved. */
import { byId } from "./dom.js";

/** Rectangles and lines below this are a slip of the hand. */
export const LEAST_REGION_PX = 8;
const LEAST_LINE_PX = 1;

export class Marks {
  #stage;
  #box = byId("stage");
  #acts;
  #mode = null;
  #from = null;

  /** `acts`: `{onRegion({x, y, width, height}), onLine({px, degrees}), onMode(mode), kept()}`, in px of the picture. */
  constructor(stage, acts) {
    this.#stage = stage;
    this.#acts = acts;
    // Before all other gestures: while something is marked nothing is moved.
    const on = (name, act) => this.#box.addEventListener(name, (event) => this.#mode && act(event), { capture: true });
    on("pointerdown", (event) => this.#begin(event));
    on("pointermove", (event) => this.#from && this.#stage.setMarks({ ...acts.kept(), ...this.#drawn(event) }));
    on("pointerup", (event) => this.#end(event));
    on("pointercancel", () => this.setMode(null));
    this.#box.addEventListener("keydown", (event) => event.key === "Escape" && this.setMode(null));
  }

  get mode() {
    return this.#mode;
  }

  /** `region`, `line`, or null for none: then a pointer moves the picture again. */
  setMode(mode) {
    this.#mode = mode;
    this.#from = null;
    this.#box.classList.toggle("is-marking", Boolean(mode));
    this.#stage.setMarks(this.#acts.kept());
    this.#acts.onMode(mode);
  }

  #begin(event) {
    if (event.button !== 0 || event.target.closest("button")) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    this.#box.setPointerCapture(event.pointerId);
    this.#from = this.#at(event);
  }

  #end(event) {
    if (!this.#from) return;
    event.stopImmediatePropagation();
    const { region, line } = this.#drawn(event);
    this.setMode(null);
    if (region && Math.min(region.width, region.height) >= LEAST_REGION_PX) this.#acts.onRegion(region);
    if (line) {
      const [dx, dy] = [line.to.x - line.from.x, line.to.y - line.from.y];
      const px = Math.round(10 * Math.hypot(dx, dy)) / 10;
      const degrees = (Math.round((180 * Math.atan2(dy, dx)) / Math.PI) + 360) % 180;
      if (px >= LEAST_LINE_PX) this.#acts.onLine({ px, degrees });
    }
  }

  #drawn(event) {
    const [from, to] = [this.#from, this.#at(event)];
    if (this.#mode === "line") return { line: { from, to } };
    const [x, y] = [Math.floor(Math.min(from.x, to.x)), Math.floor(Math.min(from.y, to.y))];
    return { region: { x, y, width: Math.ceil(Math.max(from.x, to.x)) - x, height: Math.ceil(Math.max(from.y, to.y)) - y } };
  }

  /** Return the point of the picture that is under a pointer, within the picture. */
  #at(event) {
    const { x, y } = this.#stage.pointAt({ x: event.clientX, y: event.clientY });
    const { width, height } = this.#stage.size;
    return { x: Math.min(width, Math.max(0, x)), y: Math.min(height, Math.max(0, y)) };
  }
}
