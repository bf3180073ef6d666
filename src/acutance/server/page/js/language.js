/** The page's language: which it is, texts in it, and numbers as it writes them. */
import { TEXTS } from "./texts.js";
import { remember, remembered } from "./memory.js";

const LANGUAGES = ["en", "zh"];
const TAGS = { en: "en", zh: "zh-CN" };

let language = initial();
const listeners = new Set();

function initial() {
  const kept = remembered("language");
  if (LANGUAGES.includes(kept)) return kept;
  const wanted = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Return a text in the page's language, its `{names}` filled in. */
export function text(key, values = {}) {
  const words = TEXTS[key]?.[LANGUAGES.indexOf(language)] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Say whether there is a text that is not empty in the page's language. */
export function hasText(key) {
  return Boolean(TEXTS[key]?.[LANGUAGES.indexOf(language)]);
}

/** Say whether the page is in the server's language. */
export function isEnglish() {
  return language === "en";
}

/** Return a share as a percentage. */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** Return a number of bytes in words. */
export function bytesText(count) {
  const units = ["B", "kB", "MB", "GB"];
  let power = 0;
  while (count >= 999.5 && power < units.length - 1) [count, power] = [count / 1000, power + 1];
  return `${count.toLocaleString(TAGS[language], { maximumFractionDigits: count < 9.95 && power ? 1 : 0 })} ${units[power]}`;
}

/** Return a number as the language writes it. */
export function number(value, digits = 0) {
  return value.toLocaleString(TAGS[language], { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a time that something takes, roughly. */
export function durationText(seconds) {
  if (seconds >= 90) return text("duration.minutes", { minutes: number(Math.ceil(seconds / 60)) });
  return text("facts.seconds", { seconds: number(Math.max(1, Math.ceil(seconds))) });
}

/** Return a time of day. */
export function timeText(date) {
  return date.toLocaleTimeString(TAGS[language], { hour: "2-digit", minute: "2-digit" });
}

/** Call a function now, and whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
  listener();
}

/** Change to the other language. */
export function switchLanguage() {
  language = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  remember("language", language);
  for (const listener of listeners) listener();
}

/** Put the texts into everything that names one by `data-text` or `data-label`. */
export function fillTexts() {
  document.documentElement.lang = TAGS[language];
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", text(node.dataset.label));
    if (node.matches("button")) node.title = text(node.dataset.label);
  }
}
