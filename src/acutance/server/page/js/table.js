/** What each photo is, before anything is sharpened: a table to sort, and to choose from. */
import * as api from "./api.js";
import { persist } from "./connection.js";
import { byId, dialogOf, icon, make } from "./dom.js";
import { number, text } from "./language.js";
import { errorWords } from "./words.js";

/** So many photos at once are begun at once; of more, somebody chooses. */
export const MANY = 12;

/** One is uploaded while another is looked at. */
const AT_ONCE = 2;

const WORTHS = ["unknown", "none", "little", "some", "much"];

/** What a column is sorted by; of a photo that was not looked at, null, which comes last. */
const KEYS = {
  name: (picture) => picture.name.toLowerCase(),
  kind: ({ inspection }) => inspection && kindOf(inspection),
  softness: ({ inspection }) => inspection?.softness_px ?? null,
  noise: ({ inspection }) => inspection?.noise_levels ?? null,
  worth: ({ inspection }) => inspection && WORTHS.indexOf(inspection.worth),
};

export class Table {
  #album;
  #acts;
  #dialog = dialogOf("table");
  #sorted = { by: "softness", isDown: true };
  #running = 0;
  #shown = "";

  /** `acts`: `{onShow(picture), onBegin(pictures)}`. */
  constructor(album, acts) {
    this.#album = album;
    this.#acts = acts;
    byId("table-open").addEventListener("click", () => this.open());
    byId("table-all").addEventListener("click", () => this.#begin(() => true));
    byId("table-worth").addEventListener("click", () => this.#begin(isWorth));
    for (const by of Object.keys(KEYS)) byId(`sort-${by}`).addEventListener("click", () => this.#sort(by));
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.render();
  }

  render() {
    const { pictures } = this.#album;
    byId("table-open").hidden = pictures.length === 0;
    if (!this.#dialog.open) return;
    this.#look();
    const waiting = pictures.filter(isWaiting);
    byId("table-all").hidden = byId("table-worth").hidden = !waiting.length;
    const known = waiting.filter(isWorth).length;
    byId("table-worth").disabled = !known;
    byId("table-all").textContent = text("table.all", { count: number(waiting.length) });
    byId("table-worth").textContent = text("table.worth", { count: number(known) });
    const looked = pictures.filter((picture) => picture.inspection || picture.notSeen).length;
    byId("table-words").textContent = looked < pictures.length ? text("table.looking", { done: number(looked), count: number(pictures.length) }) : text("table.help");
    this.#fill();
  }

  /** Have the server look at the photos that it has not seen. */
  #look() {
    while (this.#running < AT_ONCE) {
      const picture = this.#album.pictures.find((other) => !other.inspection && !other.notSeen && !other.isLookedAt);
      if (!picture) return;
      picture.isLookedAt = true;
      this.#running += 1;
      this.#inspect(picture).finally(() => {
        picture.isLookedAt = false;
        this.#running -= 1;
        this.#album.changed();
      });
    }
  }

  async #inspect(picture) {
    try {
      picture.inspection = await persist(() => api.inspect(picture.file));
    } catch (error) {
      picture.notSeen = error;
    }
  }

  #begin(isWanted) {
    const wanted = this.#album.pictures.filter((picture) => isWaiting(picture) && isWanted(picture));
    this.#acts.onBegin(wanted);
    this.#dialog.close();
  }

  #sort(by) {
    const isDown = this.#sorted.by === by ? !this.#sorted.isDown : !["name", "kind"].includes(by);
    this.#sorted = { by, isDown };
    this.render();
  }

  #fill() {
    const { by, isDown } = this.#sorted;
    for (const key of Object.keys(KEYS)) byId(`sort-${key}`).parentElement.setAttribute("aria-sort", key !== by ? "none" : isDown ? "descending" : "ascending");
    const rows = [...this.#album.pictures].sort((one, other) => compared(KEYS[by](one), KEYS[by](other), isDown));
    const state = document.documentElement.lang + rows.map((picture) => [picture.id, picture.thumb, Boolean(picture.inspection), picture.notSeen?.message].join()).join();
    if (state === this.#shown) return; // its buttons keep the focus
    this.#shown = state;
    const focused = document.activeElement?.dataset?.picture;
    byId("table-rows").replaceChildren(...rows.map((picture) => this.#row(picture)));
    if (focused) byId("table-rows").querySelector(`[data-picture="${focused}"]`)?.focus();
  }

  #row(picture) {
    const { inspection, notSeen } = picture;
    const show = () => {
      this.#dialog.close();
      this.#acts.onShow(picture);
    };
    const image = picture.thumb ? make("img", { src: picture.thumb, alt: "" }) : icon("image");
    const name = make("th", { scope: "row" }, make("button", { type: "button", class: "quiet", "data-picture": picture.id, onclick: show }, image, make("span", {}, picture.name)));
    if (!inspection) {
      const words = notSeen ? errorWords(notSeen) : text("table.waiting");
      return make("tr", {}, name, make("td", { colspan: 4 }, words));
    }
    const noise = text(inspection.noise_is_correlated ? "table.grain" : "table.noise", { levels: number(inspection.noise_levels ?? 0, 1) });
    const cells = [kindWords(inspection), strengthWords(inspection), inspection.noise_levels === null ? "" : noise, text(`table.worth.${inspection.worth}`)];
    return make("tr", {}, name, ...cells.map((words) => make("td", {}, words)));
  }
}

/** Say in a sentence what a photo is. */
export function inspectionWords(inspection) {
  const strength = strengthWords(inspection);
  return text("table.sentence", { kind: strength ? `${kindWords(inspection)} (${strength})` : kindWords(inspection), worth: text(`table.worth.${inspection.worth}`) });
}

function kindOf({ kind, is_mixed: isMixed }) {
  return kind && kind !== "sharp" && isMixed ? "mixed" : (kind ?? "unknown");
}

function kindWords(inspection) {
  return text(`table.kind.${kindOf(inspection)}`);
}

function strengthWords({ kind, strength_px: px, angle_degrees: degrees }) {
  if (px === null || !kind || kind === "sharp") return "";
  return text(`table.strength.${kind}`, { px: number(px, 1), degrees: number(degrees ?? 0) });
}

/** Whether nothing is made of a photo, nor will be before somebody wants it. */
function isWaiting({ version }) {
  return !version || version.state === "cancelled";
}

function isWorth({ inspection }) {
  return ["some", "much"].includes(inspection?.worth);
}

function compared(one, other, isDown) {
  if (one === null || other === null || one === undefined || other === undefined) return Number(one == null) - Number(other == null);
  const order = typeof one === "string" ? one.localeCompare(other) : one - other;
  return isDown ? -order : order;
}
