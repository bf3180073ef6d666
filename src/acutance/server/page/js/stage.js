/** The stage: before and after in one canvas, under one view, whatever is zoomed or moved. */
import { byId, oncePerFrame } from "./dom.js";
import { drawBlended } from "./blend.js";
import { drawGuesses, drawMarks, drawPatch } from "./overlays.js";
import * as views from "./view.js";

const GAP_PX = 2;

/** Colours of the squares that are seen through transparent pictures. */
const SQUARES = ["#8b8b8b", "#a3a3a3"];
const SQUARE_PX = 8;

/** Share of the width that may be the side before, for the other to count as what is seen. */
const MOST_HIDDEN = 0.9;

const LOUPE_ROOM_PX = 300;

function middleOf(area) {
  return { x: area.x + views.middleOf(area.width), y: views.middleOf(area.height) };
}

export class Stage extends EventTarget {
  #canvas = byId("canvas");
  #box = byId("stage");
  #scratch = document.createElement("canvas");
  #squares = null;
  #before = null;
  #after = null;
  #isTransparent = false;
  #isFitted = true;
  #marks = {};
  #patch = null;
  #overlay = null;

  constructor() {
    super();
    this.view = { scale: 1, x: 0, y: 0 };
    /** Share of the width that shows the picture before. */
    this.divider = 0.5;
    this.strength = 1;
    this.isSideBySide = false;
    /** While true, all of it is before. */
    this.isHeld = false;
    this.redraw = oncePerFrame(() => this.#draw());
    new ResizeObserver(() => this.#resize()).observe(this.#box);
  }

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  /** What the view's coordinates are pixels of: the result, or the picture while there is none. */
  get size() {
    const shown = this.#after ?? this.#before;
    return shown && { width: shown.width, height: shown.height };
  }

  get hasBoth() {
    return Boolean(this.#before && this.#after);
  }

  /** Width and height of what one view fills, in device pixels. */
  get pane() {
    const isHalf = this.isSideBySide && this.hasBoth;
    const width = isHalf ? Math.floor((this.#canvas.width - GAP_PX * this.ratio) / 2) : this.#canvas.width;
    return { width: Math.max(1, width), height: this.#canvas.height, ratio: this.ratio };
  }

  /** Whether the picture is larger than what is seen of it. */
  get isZoomedIn() {
    return Boolean(this.size) && this.view.scale > views.fitScale(this.size, this.pane) * 1.001;
  }

  /** Show other layers; the view stays on the same part of the same picture if `keepsView`. */
  show(before, after, { keepsView }) {
    const old = this.size;
    for (const layer of [this.#before, this.#after]) if (layer && layer !== before && layer !== after) layer.close();
    [this.#before, this.#after] = [before, after];
    this.#isTransparent = Boolean(before?.isTransparent || after?.isTransparent);
    if (this.size && (!keepsView || !old || this.#isFitted)) this.fit();
    else if (this.size) this.#look(views.rescale(this.view, old, this.size));
    this.redraw();
  }

  fit() {
    if (!this.size) return;
    this.#look(views.fit(this.size, this.pane));
    this.#isFitted = true;
  }

  /** Zoom by a factor around a point of the page, or the middle. */
  zoomBy(factor, point = null) {
    if (this.size) this.#look(views.zoom(this.view, this.view.scale * factor, this.#fromMiddle(point), this.size, this.pane));
  }

  /** Zoom to device pixels per picture pixel. */
  zoomTo(scale, point = null) {
    if (this.size) this.#look(views.zoom(this.view, scale, this.#fromMiddle(point), this.size, this.pane));
  }

  /** Move by CSS pixels. */
  panBy(dx, dy) {
    if (this.size) this.#look(views.pan(this.view, dx * this.ratio, dy * this.ratio, this.size, this.pane));
  }

  setDivider(share) {
    this.divider = Math.min(1, Math.max(0, share));
    this.redraw();
    this.dispatchEvent(new Event("divider"));
  }

  setStrength(strength) {
    this.strength = strength;
    this.redraw();
  }

  setSideBySide(isSideBySide) {
    this.isSideBySide = isSideBySide;
    this.#fitAgain();
    this.redraw();
  }

  setHeld(isHeld) {
    this.isHeld = isHeld;
    this.redraw();
  }

  /** Draw the surroundings of a point of the page, magnified, into the two halves of another canvas. */
  magnify(canvas, point, scale) {
    const context = canvas.getContext("2d");
    const view = { scale, ...this.pointAt(point) };
    const half = canvas.width / 2;
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const [left, isAfter] of [[0, false], [half, true]]) {
      const area = { x: left, y: 0, width: half, height: canvas.height };
      this.#drawArea(context, area, view, isAfter);
    }
    context.fillStyle = "#fff";
    context.fillRect(half - this.ratio, 0, 2 * this.ratio, canvas.height);
  }

  /** Return the point of the picture that is under a point of the page. */
  pointAt(point) {
    const at = this.#fromMiddle(point);
    return { x: this.view.x + at.x / this.view.scale, y: this.view.y + at.y / this.view.scale };
  }

  /** Draw `{region, line}`, both in px of the picture, over both sides. */
  setMarks(marks) {
    this.#marks = marks;
    this.redraw();
  }

  /** Lay the result of a region over what comes after: `{layer, part, region}`, of which `part` is what the layer shows. */
  setPatch(patch) {
    if (this.#patch && this.#patch !== patch) this.#patch.layer.close();
    this.#patch = patch;
    this.redraw();
  }

  /** Lay the guesses over what comes after: `{layer, opacity}`, or null. */
  setOverlay(overlay) {
    this.#overlay = overlay;
    this.redraw();
  }

  /** Return where the side after is seen, or will be, of a picture of a size: in its px, whole ones, all inside. */
  seenOf({ width, height }) {
    if (!this.size) return null;
    const factor = width / this.size.width;
    const [across, down] = [this.pane.width / this.view.scale, this.pane.height / this.view.scale];
    // Left of the divider is the side before; where there is hardly another, all of it counts.
    const hidden = this.isSideBySide || this.divider > MOST_HIDDEN ? 0 : this.divider;
    const [left, top] = [Math.max(0, this.view.x + (hidden - 0.5) * across), Math.max(0, this.view.y - down / 2)];
    const [x, y] = [Math.floor(left * factor), Math.floor(top * factor)];
    const right = Math.min(width, Math.ceil((this.view.x + across / 2) * factor));
    const bottom = Math.min(height, Math.ceil((this.view.y + down / 2) * factor));
    return { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
  }

  get hasPatch() {
    return Boolean(this.#patch);
  }

  /** Return a part of the picture before, as a file. */
  partOf(box) {
    return this.#before.part(box);
  }

  #look(view) {
    this.view = views.snap(view, this.pane);
    this.#isFitted = false;
    this.redraw();
    this.dispatchEvent(new Event("view"));
  }

  /** Look at the same in a pane of another size. */
  #fitAgain() {
    if (this.#isFitted) this.fit();
    else if (this.size) this.#look(views.clamp(this.view, this.size, this.pane));
  }

  /** Return a point of the page from the middle of the pane that it lies in, in device pixels. */
  #fromMiddle(point) {
    if (!point) return { x: 0, y: 0 };
    const box = this.#canvas.getBoundingClientRect();
    const x = (point.x - box.left) * this.ratio;
    const y = (point.y - box.top) * this.ratio;
    const isRight = this.isSideBySide && this.hasBoth && x > this.#canvas.width / 2;
    const { width, height } = this.pane;
    return { x: x - views.middleOf(width) - (isRight ? this.#canvas.width - width : 0), y: y - views.middleOf(height) };
  }

  #resize() {
    const { width, height } = this.#box.getBoundingClientRect();
    const wanted = { width: Math.max(1, Math.round(width * this.ratio)), height: Math.max(1, Math.round(height * this.ratio)) };
    if (this.#canvas.width === wanted.width && this.#canvas.height === wanted.height) return;
    Object.assign(this.#canvas, wanted);
    // Larger than the loupe in any case, which is blended in it, too.
    this.#scratch.width = Math.max(wanted.width, LOUPE_ROOM_PX * this.ratio);
    this.#scratch.height = Math.max(wanted.height, LOUPE_ROOM_PX * this.ratio);
    this.#squares = null;
    this.#fitAgain();
    this.#draw(); // at once: a canvas whose size was set is empty
  }

  #draw() {
    const context = this.#canvas.getContext("2d");
    const { width, height } = this.#canvas;
    context.clearRect(0, 0, width, height);
    if (!this.size) return;
    if (!this.hasBoth) {
      this.#drawArea(context, { x: 0, y: 0, width, height }, this.view, Boolean(this.#after));
    } else if (this.isSideBySide) {
      const { width: half } = this.pane;
      this.#drawArea(context, { x: 0, y: 0, width: half, height }, this.view, false);
      this.#drawArea(context, { x: width - half, y: 0, width: half, height }, this.view, !this.isHeld);
    } else {
      const at = this.isHeld ? width : Math.round(this.divider * width);
      const middle = { x: views.middleOf(width), y: views.middleOf(height) };
      this.#drawArea(context, { x: 0, y: 0, width: at, height }, this.view, false, middle);
      this.#drawArea(context, { x: at, y: 0, width: width - at, height }, this.view, true, middle);
    }
    this.dispatchEvent(new Event("drawn"));
  }

  /** Draw one side into an area, whose middle shows the view's point unless another place does. */
  #drawArea(context, area, view, isAfter, middle = middleOf(area)) {
    if (area.width < 1) return;
    const { width, height } = this.size;
    const left = Math.round(middle.x - view.x * view.scale);
    const top = Math.round(middle.y - view.y * view.scale);
    const paint = (target, layer) => {
      // A result that is larger is compared with its picture enlarged smoothly, as strength does, too.
      const isSmooth = layer.width < width;
      layer.draw(target, left, top, width * view.scale, height * view.scale, { isSmooth });
    };
    context.save();
    context.beginPath();
    context.rect(area.x, area.y, area.width, area.height);
    context.clip();
    if (this.#isTransparent) {
      context.fillStyle = this.#pattern(context);
      context.fillRect(left, top, width * view.scale, height * view.scale);
    }
    if (isAfter && this.#before) {
      const seen = { x: Math.floor(area.x), y: Math.floor(area.y), width: Math.ceil(area.width), height: Math.ceil(area.height) };
      drawBlended(context, this.#scratch, { before: this.#before, after: this.#after, strength: this.strength, paint, area: seen });
    } else {
      paint(context, isAfter ? this.#after : this.#before);
    }
    if (this.#overlay && isAfter) drawGuesses(context, this.#overlay, { left, top, width: width * view.scale, height: height * view.scale });
    if (this.#patch && (isAfter || (!this.hasBoth && !this.isHeld))) drawPatch(context, this.#patch, { left, top, scale: view.scale });
    drawMarks(context, this.#marks, { left, top, scale: view.scale, ratio: this.ratio });
    context.restore();
  }

  #pattern(context) {
    if (!this.#squares) {
      const size = SQUARE_PX * this.ratio;
      const tile = new OffscreenCanvas(2 * size, 2 * size);
      const drawn = tile.getContext("2d");
      drawn.fillStyle = SQUARES[0];
      drawn.fillRect(0, 0, 2 * size, 2 * size);
      drawn.fillStyle = SQUARES[1];
      drawn.fillRect(0, 0, size, size);
      drawn.fillRect(size, size, size, size);
      this.#squares = context.createPattern(tile, "repeat");
    }
    return this.#squares;
  }
}
