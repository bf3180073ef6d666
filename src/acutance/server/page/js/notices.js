/** Short notices: seen for a while, and told to those who listen. */
import { byId, iconButton, make } from "./dom.js";
import { text } from "./language.js";

const SHOWN_MS = 6000;
const MOST = 3;

/** Tell those who listen to the page; nothing is seen. */
export function say(words) {
  const live = byId("live");
  live.textContent = "";
  requestAnimationFrame(() => (live.textContent = words)); // the same words twice are told twice
}

/** Show a notice, and tell it. */
export function notify(words, { isProblem = false } = {}) {
  const toasts = byId("toasts");
  const remove = () => toast.remove();
  const toast = make("div", { class: isProblem ? "toast is-problem" : "toast" }, make("span", {}, words), iconButton("close", text("close"), remove));
  toasts.append(toast);
  while (toasts.children.length > MOST) toasts.firstChild.remove();
  setTimeout(remove, isProblem ? 2 * SHOWN_MS : SHOWN_MS);
  say(words);
}
