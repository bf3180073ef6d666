// Turns every <img data-slider="x1 y1 x2 y2 w h"> into a slider: the rectangle at x1, y1 of the sheet is the picture
// before, the one at x2, y2 the picture after; both are w by h px. Without this script the whole sheet is shown.
"use strict";

function side(image, name, x, y, width, height) {
  const part = document.createElement("div");
  part.className = `slider__side slider__side--${name}`;
  part.style.backgroundImage = `url("${image.currentSrc || image.src}")`;
  part.style.backgroundSize = `${(image.naturalWidth / width) * 100}% ${(image.naturalHeight / height) * 100}%`;
  const along = (offset, whole, piece) => (whole === piece ? 0 : (offset / (whole - piece)) * 100);
  part.style.backgroundPosition =
    `${along(x, image.naturalWidth, width)}% ${along(y, image.naturalHeight, height)}%`;
  const word = document.createElement("span");
  word.className = `slider__word slider__word--${name}`;
  word.textContent = name;
  part.append(word);
  return part;
}

function makeSlider(image) {
  const [x1, y1, x2, y2, width, height] = image.dataset.slider.split(" ").map(Number);
  const slider = document.createElement("div");
  slider.className = "slider";
  slider.style.aspectRatio = `${width} / ${height}`;
  slider.style.maxWidth = `${width}px`;
  const line = document.createElement("div");
  line.className = "slider__line";
  const range = document.createElement("input");
  range.type = "range";
  range.min = "0";
  range.max = "100";
  range.step = "0.5";
  range.value = "50";
  range.className = "slider__range";
  range.setAttribute("aria-label", `${image.alt} How much of the picture before is shown, in percent`);
  range.addEventListener("input", () => slider.style.setProperty("--split", `${range.value}%`));
  slider.append(
    side(image, "before", x1, y1, width, height),
    side(image, "after", x2, y2, width, height),
    line,
    range,
  );
  image.replaceWith(slider);
}

document.querySelectorAll("img[data-slider]").forEach((image) => {
  if (image.complete && image.naturalWidth) {
    makeSlider(image);
  } else {
    image.addEventListener("load", () => makeSlider(image), { once: true });
  }
});
