/** The loupe: the surroundings of the pointer, magnified, before and after beside each other. */
import { byId } from "./dom.js";

/** Size of each half, in CSS pixels. */
const HALF_PX = 132;
const HEIGHT_PX = 148;
const DISTANCE_PX = 22;

/** Magnification: CSS pixels per picture pixel at least, and times what is seen at least. */
const LEAST_SCALE = 4;
const LEAST_TIMES = 2.5;

export class Loupe {
  #stage;
  #canvas = byId("loupe");
  #box = byId("stage");
  #button = byId("loupe-toggle");
  #point = null;

  constructor(stage) {
    this.#stage = stage;
    this.isOn = false;
    this.#box.addEventListener("pointermove", (event) => this.#move({ x: event.clientX, y: event.clientY }));
    this.#box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.#move(null));
    stage.addEventListener("drawn", () => this.#draw());
    this.#button.addEventListener("click", () => this.toggle());
  }

  toggle() {
    this.isOn = !this.isOn;
    this.#button.setAttribute("aria-pressed", String(this.isOn));
    this.#draw();
  }

  #move(point) {
    this.#point = point;
    if (this.isOn) this.#draw();
  }

  #draw() {
    this.#canvas.hidden = !(this.isOn && this.#stage.hasBoth);
    if (this.#canvas.hidden) return;
    const ratio = this.#stage.ratio;
    this.#canvas.width = 2 * HALF_PX * ratio;
    this.#canvas.height = HEIGHT_PX * ratio;
    const box = this.#box.getBoundingClientRect();
    // Without a pointer, as with the keyboard, it shows the middle.
    const point = this.#point ?? { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    this.#place(point, box);
    const scale = Math.max(LEAST_SCALE * ratio, LEAST_TIMES * this.#stage.view.scale);
    this.#stage.magnify(this.#canvas, point, scale);
  }

  /** Put it beside the point, where there is room. */
  #place(point, box) {
    const x = point.x - box.left;
    const y = point.y - box.top;
    const left = Math.min(box.width - 2 * HALF_PX - 8, Math.max(8, x - HALF_PX));
    const above = y - HEIGHT_PX - DISTANCE_PX;
    const top = above >= 8 ? above : Math.min(box.height - HEIGHT_PX - 8, y + DISTANCE_PX);
    this.#canvas.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}
