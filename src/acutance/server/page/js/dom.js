/** Short ways to find and make elements. Nothing here, or anywhere in the page, parses HTML from a string. */

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of an id. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** Make an element: attributes (`class`, `aria-…`), `onclick` and the like, and children. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Make an icon of a name in index.html's list. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Make a button with an icon only, named for those who do not see it. */
export function iconButton(name, label, onclick, classes = "quiet icon-only") {
  return make("button", { type: "button", class: classes, "aria-label": label, title: label, onclick }, icon(name));
}

/** Make one of a group of choices: a title, and words on it where there are any. */
export function radio(group, value, title, words, onchange) {
  const focused = document.activeElement?.name === group && document.activeElement?.value === String(value);
  const input = make("input", { type: "radio", name: group, value, onchange });
  if (focused) queueMicrotask(() => input.focus()); // once it is in the page
  return make("label", { class: "option" }, input, make("span", { class: "option-words" }, make("strong", {}, title), words && make("span", {}, words)));
}

/** Show on a slider how far it is, and say it in words. */
export function fillSlider(input, words) {
  input.style.setProperty("--share", (input.value - input.min) / (input.max - input.min));
  input.setAttribute("aria-valuetext", words);
}

/** Let a dialog be closed by its button, and by a click beside it; return it. */
export function dialogOf(id) {
  const dialog = byId(id);
  byId(`${id}-close`).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}

/** Return a function that calls another one when what runs now is over, once however often it is asked: also in a tab that nobody sees. */
export function oncePerTask(call) {
  return once(call, queueMicrotask);
}

/** Return a function that calls another one in the next frame, once however often it is asked. */
export function oncePerFrame(call) {
  return once(call, requestAnimationFrame);
}

function once(call, defer) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    defer(() => {
      isAsked = false;
      call();
    });
  };
}
