/** What is drawn over a picture: the marks of a region and a motion, and the result of the region. */

const DARK = "rgb(0 0 0 / 70%)";
const LIGHT = "#fff";

/** Draw a region's outline and a line, in px of a picture whose corner and scale are given. */
export function drawMarks(context, { region, line }, { left, top, scale, ratio }) {
  const at = ({ x, y }) => [left + x * scale, top + y * scale];
  // Twice, dark below light: seen on anything.
  for (const [color, width] of [[DARK, 4], [LIGHT, 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * ratio;
    context.lineCap = "round";
    if (region) context.strokeRect(...at(region), region.width * scale, region.height * scale);
    if (line) {
      context.beginPath();
      context.moveTo(...at(line.from));
      context.lineTo(...at(line.to));
      context.stroke();
    }
  }
}

/** Lay the map of guesses over a result. */
export function drawGuesses(context, { layer, opacity }, { left, top, width, height }) {
  context.save();
  context.globalAlpha = opacity;
  layer.draw(context, left, top, width, height, { isSmooth: true });
  context.restore();
}

/** Draw the result of a region. */
export function drawPatch(context, { layer, part, region }, { left, top, scale }) {
  context.save();
  context.beginPath();
  context.rect(left + region.x * scale, top + region.y * scale, region.width * scale, region.height * scale);
  context.clip();
  layer.draw(context, left + part.x * scale, top + part.y * scale, part.width * scale, part.height * scale);
  context.restore();
}
