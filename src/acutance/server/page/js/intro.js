/** What is seen before there is a picture: the example with its divider, and what happens to photos. */
import { byId } from "./dom.js";
import { onLanguage, text } from "./language.js";

const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"]);

export function addIntro({ onExample }) {
  const range = byId("demo-range");
  const show = () => byId("demo").style.setProperty("--at", `${range.value}%`);
  range.addEventListener("input", show);
  show();
  byId("example").addEventListener("click", onExample);
  onLanguage(() => {
    const { hostname, host } = window.location;
    byId("privacy").textContent = LOCAL.has(hostname) ? text("privacy.local") : text("privacy.remote", { host });
  });
}
