/** A decoded picture, with halves, quarters … of it, so that drawing it small is quick and does not flicker. */

const SMALLEST = 256;

/** From here on a pixel is drawn as a square, so that it can be told from its neighbours. */
const SQUARE_SCALE = 3;

export class Layer {
  #levels;

  constructor(levels) {
    this.#levels = levels;
    this.width = levels[0].width;
    this.height = levels[0].height;
  }

  /** Decode a file. Rejects where the browser cannot show it. */
  static async decode(blob) {
    return Layer.of(await createImageBitmap(blob));
  }

  /** Make a layer of a decoded picture. */
  static of(picture) {
    const levels = [picture];
    for (let last = levels[0]; Math.max(last.width, last.height) > 2 * SMALLEST; last = levels.at(-1)) levels.push(halved(last));
    return new Layer(levels);
  }

  /** Draw the picture, stretched to a rectangle of the canvas, each pixel as a square where it is enlarged much. */
  draw(context, x, y, width, height, { isSmooth = false } = {}) {
    const scale = width / this.width;
    let level = 0;
    while (level + 1 < this.#levels.length && this.#levels[level + 1].width >= width) level += 1;
    context.imageSmoothingEnabled = isSmooth || scale < SQUARE_SCALE;
    context.imageSmoothingQuality = scale < 1 ? "medium" : "high";
    context.drawImage(this.#levels[level], x, y, width, height);
  }

  /** Say whether anything of the picture can be seen through. */
  get isTransparent() {
    const small = this.#levels.at(-1);
    const canvas = new OffscreenCanvas(small.width, small.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(small, 0, 0);
    const { data } = context.getImageData(0, 0, small.width, small.height);
    for (let index = 3; index < data.length; index += 4) if (data[index] < 255) return true;
    return false;
  }

  /** Return a small copy of it as a file. */
  thumbnail(height) {
    const small = this.#levels.findLast((level) => level.height >= height) ?? this.#levels[0];
    const canvas = new OffscreenCanvas(Math.max(1, Math.round((small.width * height) / small.height)), height);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, canvas.width, height);
    return canvas.convertToBlob({ type: "image/png" });
  }

  /** Return a part of it as a file. */
  part({ x, y, width, height }) {
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(this.#levels[0], -x, -y);
    return canvas.convertToBlob({ type: "image/png" });
  }

  /** Free the memory; the layer cannot be drawn any more. */
  close() {
    for (const level of this.#levels) level.close?.();
  }
}

function halved(source) {
  const canvas = new OffscreenCanvas(Math.ceil(source.width / 2), Math.ceil(source.height / 2));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "medium";
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}
