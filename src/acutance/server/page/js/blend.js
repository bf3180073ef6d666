/** Strength, as the server applies it: before + strength · (after − before), for what is seen only. */

/** Draw two layers blended.
 *
 * @param target - 2D context to draw into; what is there stays under transparent parts.
 * @param scratch - canvas of the page's own, at least as large as the target's; overwritten.
 * @param paint - `paint(context, layer)` draws a layer where it belongs.
 * @param area - `{x, y, width, height}` of the target that is seen.
 */
export function drawBlended(target, scratch, { before, after, strength, paint, area }) {
  if (strength === 0 || strength === 1) {
    paint(target, strength ? after : before);
    return;
  }
  const context = scratch.getContext("2d", { willReadFrequently: true });
  context.clearRect(0, 0, scratch.width, scratch.height);
  if (strength < 1) blendWithin(context, { before, after, strength, paint });
  else blendBeyond(context, { before, after, strength, paint, area });
  target.drawImage(scratch, area.x, area.y, area.width, area.height, area.x, area.y, area.width, area.height);
}

function blendWithin(context, { before, after, strength, paint }) {
  context.globalCompositeOperation = "copy";
  context.globalAlpha = 1 - strength;
  paint(context, before);
  context.globalCompositeOperation = "lighter"; // a sum, of transparency too
  context.globalAlpha = strength;
  paint(context, after);
  context.globalCompositeOperation = "source-over";
  context.globalAlpha = 1;
}

function blendBeyond(context, { before, after, strength, paint, area }) {
  // No canvas operation subtracts with a sign: the pixels that are seen are computed here.
  const { x, y, width, height } = area;
  paint(context, before);
  const low = context.getImageData(x, y, width, height);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  paint(context, after);
  const high = context.getImageData(x, y, width, height);
  const [from, to] = [low.data, high.data];
  for (let index = 0; index < to.length; index += 1) to[index] = from[index] + strength * (to[index] - from[index]);
  context.putImageData(high, x, y);
}
