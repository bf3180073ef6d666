/** What the page says of errors, models and formats, in its language. */
import { Refusal } from "./api.js";
import { byId } from "./dom.js";
import { hasText, text } from "./language.js";

/** Say an error in one sentence: the server's own, where it is in the reader's language. */
export function errorWords(error) {
  if (error instanceof Refusal) return hasText(`error.${error.code}`) ? text(`error.${error.code}`) : sentence(error.message);
  return sentence(error?.message ?? String(error));
}

/** Name a model by what it is for, where it is one of ours. */
export function modelTitle(name) {
  return hasText(`model.title.${name}`) ? text(`model.title.${name}`) : name;
}

/** Describe a model: in the page's language where it is one of ours. */
export function modelWords(model) {
  return hasText(`model.${model.name}`) ? text(`model.${model.name}`) : sentence(model.summary);
}

/** Name a file's format for people. */
export function formatName(file) {
  const ending = /\.([a-z0-9]{2,5})$/i.exec(file.name)?.[1];
  const name = ending ?? file.type.split("/")[1] ?? "";
  const known = JSON.parse(byId("files").dataset.formats);
  return known[name.toLowerCase()] ?? name.toUpperCase();
}

/** Begin what the server says with a capital, and end it. */
export function sentence(words) {
  const begun = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
