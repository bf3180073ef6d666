/** A result that is being made: its finished tiles over the picture before. It is drawn like a layer. */

export class Growing {
  #before;
  #tiles = new Map();

  /** `before` is the layer of the picture, `width` and `height` those of the result. */
  constructor(before, { width, height }) {
    this.#before = before;
    this.width = width;
    this.height = height;
  }

  /** Say whether a tile is there already. */
  has(url) {
    return this.#tiles.has(url);
  }

  /** Add a tile: where it lies, and its decoded picture. */
  add(tile, bitmap) {
    this.#tiles.set(tile.url, { ...tile, bitmap });
  }

  get isTransparent() {
    return this.#before.isTransparent;
  }

  draw(context, x, y, width, height, { isSmooth = false } = {}) {
    this.#before.draw(context, x, y, width, height, { isSmooth: isSmooth || this.#before.width < this.width });
    const [across, down] = [width / this.width, height / this.height];
    context.imageSmoothingQuality = across < 1 ? "medium" : "high";
    for (const tile of this.#tiles.values()) {
      // From edge to edge: what is cut between pixels of the screen would be seen as lines.
      const [left, top] = [Math.round(x + tile.x * across), Math.round(y + tile.y * down)];
      const [right, bottom] = [Math.round(x + (tile.x + tile.width) * across), Math.round(y + (tile.y + tile.height) * down)];
      context.drawImage(tile.bitmap, left, top, right - left, bottom - top);
    }
  }

  /** Free the tiles; the picture before is somebody else's. */
  close() {
    for (const { bitmap } of this.#tiles.values()) bitmap.close();
    this.#tiles.clear();
  }
}
