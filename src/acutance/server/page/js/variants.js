/** Variants side by side: the part that is in view as each of some settings makes it, to choose from with one's eyes. */
import { drawBlended } from "./blend.js";
import { persist } from "./connection.js";
import { byId, dialogOf, icon, make, radio } from "./dom.js";
import { findingWords } from "./findings.js";
import { onStageKeys } from "./gestures.js";
import { onLanguage, percent, text } from "./language.js";
import { Layer } from "./layers.js";
import { ensemblesFor, settingsFor, usualOf } from "./panel.js";
import { AROUND_PX, sharpenPart, widened } from "./parts.js";
import { knownOptions, runOptions, versionKey } from "./pictures.js";
import { errorWords, modelTitle } from "./words.js";

/** Longest side of the part, in px of the photo: it is seconds that are waited for, and a variant has one. */
const MOST_PX = 480;
const MOST_MODELS = 6;
const AUTO = "auto";
const STRENGTHS = [0.5, 1, 1.5, 2];
const FIDELITIES = [1, 0.65, 0.35, 0];

/** One is uploaded while another is worked on. */
const AT_ONCE = 2;

export class Variants {
  #album;
  #viewer;
  #stage;
  #offer;
  #acts;
  #dialog = dialogOf("variants");
  #list = byId("variants-list");
  #button = byId("variants-open");
  #scratch = document.createElement("canvas");
  #set = "model";
  #isBefore = false;
  /** What is compared while the dialog is open: see `#aim`. */
  #shown = null;
  #tiles = [];

  /** `offer` is the answer of /v1/models; `acts`: `{onTake({model, fidelity, ensemble, strength})}`. */
  constructor(album, viewer, offer, acts) {
    const { stage } = viewer;
    this.#album = album;
    this.#viewer = viewer;
    this.#stage = stage;
    this.#offer = offer;
    this.#acts = acts;
    this.#button.addEventListener("click", () => this.open());
    onStageKeys({ v: () => this.open() });
    this.#dialog.addEventListener("close", () => this.#forget());
    byId("variants-before").addEventListener("click", () => this.#showBefore(!this.#isBefore));
    stage.addEventListener("drawn", () => this.render()); // what is on the stage can be compared
    new ResizeObserver(() => this.#draw()).observe(this.#list);
    onLanguage(() => this.#build());
  }

  render() {
    this.#button.disabled = !this.#isPossible;
  }

  /** Whether the photo is on the stage: another one may be there still. */
  get #isPossible() {
    const picture = this.#album.current;
    return Boolean(picture?.size && this.#stage.size && this.#viewer.shown === picture);
  }

  async open() {
    if (!this.#isPossible) return;
    const { settings } = this.#album.current;
    const sets = this.#sets();
    if (!sets.includes(this.#set)) this.#set = sets[0];
    this.#shown = { settings: { ...settings, region: null }, picture: this.#album.current, made: new Map(), running: 0, abort: new AbortController() };
    this.#showBefore(false);
    this.#dialog.showModal();
    this.#build();
    this.#aim();
    (this.#tiles.find(({ isCurrent }) => isCurrent) ?? this.#tiles[0]).button.focus();
    const { abort, part } = this.#shown;
    const before = await Layer.decode(await this.#stage.partOf(part));
    if (abort.signal.aborted) return before.close();
    this.#shown.before = before;
    this.#make();
    this.#fill();
  }

  /** Which questions there are for a photo: what does not change with the model is not asked where there is one only. */
  #sets() {
    const { settings } = this.#album.current;
    const hasFidelity = this.#offer.models.find(({ name }) => name === decided(this.#album.current, settings).model)?.has_fidelity;
    // A blur that was told is undone by the one model that can be told.
    const ensembles = ensemblesFor(this.#offer, this.#album.current, settings);
    const sets = { model: !settings.told && this.#models(settings).length > 1, strength: true, fidelity: !settings.told && hasFidelity, ensemble: ensembles.length > 1 };
    return Object.keys(sets).filter((set) => sets[set]);
  }

  #models({ scale }) {
    return usualOf(this.#offer.models.filter((model) => model.scale === scale)).slice(0, MOST_MODELS);
  }

  #variants() {
    const { picture, settings } = this.#shown;
    if (this.#set === "strength") return STRENGTHS.map((strength) => ({ ...settings, strength }));
    if (this.#set === "fidelity") return FIDELITIES.map((fidelity) => ({ ...settings, fidelity }));
    if (this.#set === "ensemble") return ensemblesFor(this.#offer, picture, settings).map((ensemble) => ({ ...settings, ensemble }));
    return this.#models(settings).map((model) => ({ ...settings, ...settingsFor(this.#offer, picture, model) }));
  }

  #title(variant) {
    if (this.#set === "model") return modelTitle(variant.model);
    if (this.#set === "ensemble") return text(`ensemble.${variant.ensemble}`);
    return `${text(this.#set === "strength" ? "strength" : "fidelity")} ${percent(variant[this.#set])}`;
  }

  /** Choose the part: the middle of what is in view, at its zoom, but no smaller than real pixels. */
  #aim() {
    const { picture, settings } = this.#shown;
    const { size } = picture;
    const canvas = this.#tiles[0].canvas.getBoundingClientRect();
    const { ratio, view } = this.#stage;
    const [across, down] = [canvas.width * ratio, canvas.height * ratio];
    const factor = this.#stage.size.width / size.width; // the view is one of the result, which may be larger
    const scale = Math.max(settings.scale, view.scale * factor, across / MOST_PX, down / MOST_PX);
    const side = (length, most) => Math.max(1, Math.min(most, Math.round(length / scale)));
    const [width, height] = [side(across, size.width), side(down, size.height)];
    const start = (centre, length, most) => Math.min(most - length, Math.max(0, Math.round(centre / factor - length / 2)));
    const seen = { x: start(view.x, width, size.width), y: start(view.y, height, size.height), width, height };
    Object.assign(this.#shown, { scale, seen, part: widened(seen, AROUND_PX, size) });
  }

  /** Make the tiles of a question. */
  #build() {
    if (!this.#shown) return;
    const choose = (set) => () => {
      this.#set = set;
      this.#build();
      this.#make();
    };
    const names = { model: text("variants.model"), strength: text("strength"), fidelity: text("fidelity"), ensemble: text("ensemble") };
    byId("variants-sets").replaceChildren(...this.#sets().map((set) => radio("variants", set, names[set], null, choose(set))));
    for (const input of byId("variants-sets").querySelectorAll("input")) input.checked = input.value === this.#set;
    const { model, fidelity, ensemble, strength } = this.#shown.settings;
    this.#tiles = this.#variants().map((variant) => {
      const isCurrent = variant.model === model && variant.fidelity === fidelity && variant.ensemble === ensemble && variant.strength === strength;
      const [canvas, note] = [make("canvas", { "aria-hidden": "true" }), make("span")];
      const title = make("strong", {}, isCurrent ? icon("check") : null, this.#title(variant));
      const onclick = () => this.#take(variant);
      const button = make("button", { type: "button", class: "variant", "aria-current": isCurrent && "true", onclick }, canvas, make("span", { class: "variant-words" }, title, note));
      return { variant, isCurrent, canvas, note, button };
    });
    this.#list.dataset.set = this.#set;
    this.#list.replaceChildren(...this.#tiles.map(({ button }) => make("li", {}, button)));
    this.#fill();
  }

  /** Make what the tiles lack, a few at once. */
  #make() {
    const shown = this.#shown;
    if (!shown?.before) return;
    while (shown.running < AT_ONCE) {
      const missing = this.#tiles.filter(({ variant }) => !shown.made.has(versionKey(variant)));
      const next = missing.find(({ variant }) => !this.#isSlow(variant)) ?? missing[0];
      if (!next) return;
      const made = { layer: null, found: [], error: null };
      shown.made.set(versionKey(next.variant), made);
      shown.running += 1;
      this.#one(shown, next.variant, made).finally(() => {
        shown.running -= 1;
        if (shown !== this.#shown) return made.layer?.close();
        this.#fill();
        return this.#make();
      });
    }
  }

  /** Whether a variant looks for motion, or may: that takes seconds, and what is quick need not wait for it. */
  #isSlow(variant) {
    const { model } = decided(this.#shown.picture, variant);
    return model === AUTO || this.#offer.models.find(({ name }) => name === model)?.task === "remove-motion";
  }

  async #one(shown, variant, made) {
    const { picture, part, abort } = shown;
    const work = () => {
      const version = picture.versions.get(versionKey(variant));
      return version?.state === "done" ? partOfResult(version, part) : sharpenPart(this.#stage, part, optionsOf(decided(picture, variant)), abort.signal);
    };
    try {
      Object.assign(made, await persist(work, () => abort.signal.aborted));
    } catch (error) {
      made.error = error;
    }
  }

  #take({ model, fidelity, ensemble, strength }) {
    this.#dialog.close();
    this.#acts.onTake({ model, fidelity, ensemble, strength });
  }

  #showBefore(isBefore) {
    this.#isBefore = isBefore;
    byId("variants-before").setAttribute("aria-pressed", String(isBefore));
    this.#draw();
  }

  #forget() {
    const { abort, before, made } = this.#shown;
    this.#shown = null;
    abort.abort();
    before?.close();
    for (const { layer } of made.values()) layer?.close();
    this.#tiles = [];
    this.#list.replaceChildren();
  }

  #fill() {
    const { made, scale, settings } = this.#shown;
    const of = ({ variant }) => made.get(versionKey(variant));
    for (const tile of this.#tiles) {
      const isOver = Boolean(of(tile)?.layer || of(tile)?.error);
      tile.button.setAttribute("aria-busy", String(!isOver));
      tile.note.textContent = isOver ? this.#note(tile.variant, of(tile)) : text("variants.tile");
    }
    const left = this.#tiles.filter((tile) => !of(tile)?.layer && !of(tile)?.error).length;
    byId("variants-words").textContent = left ? text("variants.working", { count: left }) : text("variants.help", { percent: percent(scale / settings.scale) });
    byId("variants-alone").hidden = this.#set !== "model";
    this.#draw();
  }

  #note(variant, { found, error }) {
    if (error) return errorWords(error);
    if (this.#set === "model") return found.map(findingWords).join(" ");
    const words = { strength: { 0.5: "", 1: text("strength.mid"), 2: text("strength.high") }, fidelity: { 0: text("fidelity.low"), 1: text("fidelity.high") } };
    return words[this.#set]?.[variant[this.#set]] ?? "";
  }

  #draw() {
    if (!this.#shown?.before) return;
    const { before, made, part, seen, scale } = this.#shown;
    for (const { canvas, variant } of this.#tiles) {
      const box = canvas.getBoundingClientRect();
      const [width, height] = [box.width, box.height].map((side) => Math.max(1, Math.round(side * this.#stage.ratio)));
      Object.assign(canvas, { width, height });
      this.#scratch.width = Math.max(this.#scratch.width, width);
      this.#scratch.height = Math.max(this.#scratch.height, height);
      const left = Math.round(width / 2 - (seen.x + seen.width / 2 - part.x) * scale);
      const top = Math.round(height / 2 - (seen.y + seen.height / 2 - part.y) * scale);
      const after = this.#isBefore ? null : made.get(versionKey(variant))?.layer;
      const isLarger = Boolean(after) && before.width < after.width;
      const paint = (target, layer) => layer.draw(target, left, top, part.width * scale, part.height * scale, { isSmooth: isLarger && layer === before });
      const context = canvas.getContext("2d");
      if (after) drawBlended(context, this.#scratch, { before, after, strength: variant.strength, paint, area: { x: 0, y: 0, width, height } });
      else paint(context, before);
    }
  }
}

/** Return a variant with the model that was chosen for the whole photo, where that is known: a part might be taken for another. */
function decided(picture, variant) {
  if (variant.model !== AUTO) return variant;
  const whole = [...picture.versions.values()].find(({ model, state, told, region }) => model === AUTO && state === "done" && !told && !region);
  return whole ? { ...variant, model: whole.ran } : variant;
}

/** Return what a variant's part asks the server for: its strength is applied here, as on the stage. */
function optionsOf({ told, model, ...run }) {
  return told ? { ...runOptions({ ...run, fidelity: 1 }), ...knownOptions({ told }) } : { model, ...runOptions(run) };
}

/** Return a part of a result that is there already. */
async function partOfResult(version, part) {
  const whole = await createImageBitmap(version.blob);
  const [x, y, width, height] = [part.x, part.y, part.width, part.height].map((side) => side * version.scale);
  const layer = Layer.of(await createImageBitmap(whole, x, y, width, height));
  whole.close();
  return { layer, found: version.found };
}
