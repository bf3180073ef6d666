/** Where a picture lies in a window: pure arithmetic, in device pixels. A view is `{scale, x, y}`: device pixels per
 * picture pixel, and the picture's point that is in the middle of the window. */

/** Largest magnification: 32 device pixels per picture pixel. */
export const MAX_SCALE = 32;

const MARGIN = 0.96;

/** Return the scale at which all of a picture is seen; small pictures are not enlarged beyond their pixels. */
export function fitScale(picture, pane) {
  const scale = Math.min(pane.width / picture.width, pane.height / picture.height) * MARGIN;
  return Math.min(scale, Math.max(1, pane.ratio ?? 1));
}

/** Return the view that shows all of a picture. */
export function fit(picture, pane) {
  return { scale: fitScale(picture, pane), x: picture.width / 2, y: picture.height / 2 };
}

/** Return a view at another scale, in which the point of the picture under `at` (from the pane's middle) stays there. */
export function zoom(view, scale, at, picture, pane) {
  const low = Math.min(fitScale(picture, pane), 1);
  const limited = Math.min(MAX_SCALE, Math.max(low, scale));
  const step = 1 / view.scale - 1 / limited;
  return clamp({ scale: limited, x: view.x + at.x * step, y: view.y + at.y * step }, picture, pane);
}

/** Return a view moved by device pixels, as if the picture was dragged. */
export function pan(view, dx, dy, picture, pane) {
  return clamp({ scale: view.scale, x: view.x - dx / view.scale, y: view.y - dy / view.scale }, picture, pane);
}

/** Return the view that shows the same of a picture of another size. */
export function rescale(view, from, to) {
  const factor = to.width / from.width;
  return { scale: view.scale / factor, x: view.x * factor, y: (view.y * to.height) / from.height };
}

/** Return a view whose picture's corner falls on a device pixel, so that at 100 % each pixel is one. */
export function snap(view, pane) {
  const [x, y] = [middleOf(pane.width), middleOf(pane.height)];
  return {
    scale: view.scale,
    x: (x - Math.round(x - view.x * view.scale)) / view.scale,
    y: (y - Math.round(y - view.y * view.scale)) / view.scale,
  };
}

/** Return where the middle of a length is taken to be: on a device pixel. */
export function middleOf(length) {
  return Math.floor(length / 2);
}

/** Return a view whose picture does not leave the pane: where it is smaller, it lies in the middle. */
export function clamp(view, picture, pane) {
  return {
    scale: view.scale,
    x: clampAxis(view.x, picture.width, pane.width / view.scale),
    y: clampAxis(view.y, picture.height, pane.height / view.scale),
  };
}

function clampAxis(centre, size, seen) {
  if (seen >= size) return size / 2;
  return Math.min(size - seen / 2, Math.max(seen / 2, centre));
}
