/** A part of a photo, sharpened by itself: only it and its surroundings go to the server. */
import * as api from "./api.js";
import { Layer } from "./layers.js";

/** Around a part at least: what networks look at beyond it. */
export const AROUND_PX = 80;

/** Side of JPEG's blocks. A network knows them by their place, and undoes less of a part that begins within one. */
const BLOCK_PX = 8;

/** Return a rectangle with so many px more on each side at least, as far as a picture of a size goes. */
export function widened({ x, y, width, height }, around, size) {
  const start = (side) => Math.floor((side - around) / BLOCK_PX) * BLOCK_PX;
  const [left, top] = [start(x), start(y)];
  return withinPicture({ x: left, y: top, width: x + width + around - left, height: y + height + around - top }, size);
}

/** Return what of a rectangle lies within a picture; its width or height is not above 0 where that is nothing. */
export function withinPicture(region, size) {
  const [x, y] = [Math.max(0, region.x), Math.max(0, region.y)];
  return { x, y, width: Math.min(size.width, region.x + region.width) - x, height: Math.min(size.height, region.y + region.height) - y };
}

/** Sharpen a part of the photo on the stage: `{layer, found}`, the result and what was seen and done. */
export async function sharpenPart(stage, part, options, signal) {
  const file = new File([await stage.partOf(part)], "part.png", { type: "image/png" });
  const { blob, found } = await api.sharpen(file, { ...options, format: "png" }, { signal });
  return { layer: await Layer.decode(blob), found };
}
