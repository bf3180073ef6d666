/** The map of guesses as a layer: clear where the result is sure, the map's own colours where it is not. */
import { Layer } from "./layers.js";

/** Red of the map's colours at even steps of √(distance / 96 levels): it grows all the way, so it tells the distance. */
const REDS = [0, 40, 130, 215, 250, 255];

/** From which share of that way on something is seen, and from which on it covers: 12 and 47 levels of 255. */
const SEEN_FROM = 0.35;
const COVERS_FROM = 0.7;

/** Decode the server's map; its blocks are of 2×2 px, so half the size holds all of it. */
export async function guessLayer(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(Math.ceil(bitmap.width / 2), Math.ceil(bitmap.height / 2));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  const opacity = Uint8ClampedArray.from({ length: 256 }, (_, red) => 255 * coverOf(wayOf(red)));
  for (let index = 0; index < picture.data.length; index += 4) picture.data[index + 3] = opacity[picture.data[index]];
  context.putImageData(picture, 0, 0);
  return Layer.of(canvas);
}

function wayOf(red) {
  const step = Math.max(1, REDS.findIndex((end) => end >= red));
  return (step - 1 + (red - REDS[step - 1]) / (REDS[step] - REDS[step - 1])) / (REDS.length - 1);
}

function coverOf(way) {
  return Math.min(1, Math.max(0, (way - SEEN_FROM) / (COVERS_FROM - SEEN_FROM)));
}
