/** Colours: as the system has them, light, or dark. */
import { byId } from "./dom.js";
import { onLanguage, text } from "./language.js";
import { remember, remembered } from "./memory.js";

const THEMES = ["auto", "light", "dark"];
const ICONS = { auto: "theme", light: "sun", dark: "moon" };

/** Show the theme that was chosen last, and let the button change it. */
export function addTheme() {
  let theme = THEMES.includes(remembered("theme")) ? remembered("theme") : "auto";
  const show = () => {
    document.documentElement.dataset.theme = theme;
    byId("theme-icon").setAttribute("href", `#i-${ICONS[theme]}`);
    byId("theme").setAttribute("aria-label", text(`theme.${theme}`));
    byId("theme").title = text(`theme.${theme}`);
  };
  byId("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme);
    show();
  });
  onLanguage(show);
}
