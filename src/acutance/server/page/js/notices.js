/** Short notices: seen for a while, and told to those who listen. */
import { byId, iconButton, make } from "./dom.js";
import { text } from "./language.js";

const SHOWN_MS = 6000;
const MOST = 3;

/** What is told is gone for so long before: the same words twice are told twice. */
const GONE_MS = 100;

let untold = [];

/** Tell those who listen to the page; nothing is seen. */
export function say(words) {
  byId("live").textContent = "";
  untold.push(words);
  // By the clock, not with the next frame: a tab that nobody sees draws none, and would keep but the last words.
  if (untold.length === 1) setTimeout(tell, GONE_MS);
}

function tell() {
  byId("live").textContent = untold.join(" ");
  untold = [];
}

/** Show a notice, and tell it. */
export function notify(words, { isProblem = false } = {}) {
  const toasts = byId("toasts");
  const remove = () => toast.remove();
  const toast = make("div", { class: isProblem ? "toast is-problem" : "toast" }, make("span", {}, words), iconButton("close", text("close"), remove));
  toasts.append(toast);
  while (toasts.children.length > MOST) toasts.firstChild.remove();
  whenSeen(() => setTimeout(remove, isProblem ? 2 * SHOWN_MS : SHOWN_MS));
  say(words);
}

/** Call a function now, or as soon as somebody sees the page. */
function whenSeen(call) {
  if (!document.hidden) call();
  else document.addEventListener("visibilitychange", () => whenSeen(call), { once: true });
}
