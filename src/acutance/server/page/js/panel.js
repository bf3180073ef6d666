/** The panel: what the picture is, the settings, the download. */
import { byId, fillSlider, make, radio } from "./dom.js";
import { bytesText, number, percent, text } from "./language.js";
import { findingWords } from "./findings.js";
import { inspectionWords } from "./table.js";
import { formatName, modelTitle, modelWords } from "./words.js";

/** After the last change: with the keyboard each step is one, and a run is for where they end. */
const STEPS_WAIT_MS = 500;

/** Of the models that are shipped, by how many photos need them; and those that none needs. */
const ORDER = ["auto", "fast", "motion", "night"];
const RESEARCH = ["paper"];

export class Panel {
  #offer;
  #acts;
  #built = "";
  #picture = null;
  #waiting = 0;
  /** Settings that a run is wanted with, in a moment. */
  #changes = {};
  #strength = byId("strength");
  #fidelity = byId("fidelity");
  #ensemble = byId("ensemble");

  /** `offer` is the answer of /v1/models; `acts`: `{onStrength, onRun, onUseForAll, onSave, onSaveAll}`. */
  constructor(offer, acts) {
    this.#offer = offer;
    this.#acts = acts;
    this.#strength.addEventListener("input", () => acts.onStrength(Number(this.#strength.value)));
    this.#fidelity.addEventListener("input", () => {
      byId("fidelity-value").textContent = percent(this.#fidelity.value);
      this.#runLater({ fidelity: Number(this.#fidelity.value) });
    });
    this.#ensemble.addEventListener("change", () => this.#runLater({ ensemble: Number(this.#ensemble.value) }));
    byId("begin").addEventListener("click", () => acts.onRun({}));
    byId("use-for-all").addEventListener("click", acts.onUseForAll);
    byId("save").addEventListener("click", () => acts.onSave(byId("format").value));
    byId("save-all").addEventListener("click", () => acts.onSaveAll(byId("format").value));
  }

  render(album) {
    const picture = album.current;
    if (picture !== this.#picture) {
      clearTimeout(this.#waiting); // what was wanted was of the photo before
      this.#changes = {};
    }
    this.#picture = picture;
    if (!picture) return;
    this.#build(picture);
    this.#fillHead(picture);
    this.#fillSettings(picture);
    this.#fillSaving(album);
  }

  #model(name) {
    return this.#offer.models.find((model) => model.name === name);
  }

  /** Make the lists that depend on the server's offer, the language, and the size that is chosen. */
  #build(picture) {
    const ownFormat = formatName(picture.file);
    const ensembles = ensemblesFor(this.#offer, picture, picture.settings);
    const state = [document.documentElement.lang, picture.settings.scale, ownFormat, ensembles].join();
    if (state === this.#built) return;
    this.#built = state;
    const scales = [...new Set(this.#offer.models.map((model) => model.scale))].sort();
    byId("size-field").hidden = scales.length < 2;
    byId("sizes").replaceChildren(
      ...scales.map((scale) =>
        radio("size", scale, scale === 1 ? text("size.1") : text("size.n", { scale }), null, () => this.#chooseScale(scale)),
      ),
    );
    const models = this.#offer.models.filter((model) => model.scale === picture.settings.scale);
    byId("model-field").hidden = models.length < 2;
    byId("models").replaceChildren(...this.#modelChoices(models, picture.settings.model));
    byId("ensemble-field").hidden = ensembles.length < 2;
    this.#ensemble.replaceChildren(...ensembles.map((count) => make("option", { value: count }, text(`ensemble.${count}`))));
    const format = byId("format");
    const kept = format.value;
    const others = Object.keys(this.#offer.formats).map((name) => [name, formatName({ name: `x.${name}`, type: "" })]);
    const offered = [["", ownFormat], ...others.filter(([, shown]) => shown !== ownFormat)];
    format.replaceChildren(...offered.map(([value, shown]) => make("option", { value }, shown)));
    format.value = kept;
    if (format.selectedIndex < 0) format.value = "";
  }

  /** The models in the order of who needs them, those of research folded away. */
  #modelChoices(models, chosen) {
    const choice = (model) => radio("model", model.name, modelTitle(model.name), modelWords(model), () => this.#chooseModel(model));
    const usual = usualOf(models);
    const research = models.filter(({ name }) => RESEARCH.includes(name));
    if (!usual.length || !research.length) return models.map(choice);
    const folded = make("details", { class: "research", open: RESEARCH.includes(chosen) }, make("summary", {}, text("model.research")), ...research.map(choice));
    return [...usual.map(choice), folded];
  }

  #chooseScale(scale) {
    const model = this.#offer.models.find((other) => other.scale === scale);
    this.#acts.onRun({ scale, ...settingsFor(this.#offer, this.#picture, model), told: null, region: null });
  }

  #chooseModel(model) {
    this.#acts.onRun(settingsFor(this.#offer, this.#picture, model));
  }

  #runLater(settings) {
    Object.assign(this.#changes, settings);
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => {
      const changes = this.#changes;
      this.#changes = {};
      this.#acts.onRun(changes);
    }, STEPS_WAIT_MS);
  }

  #fillHead(picture) {
    const { version, size, file } = picture;
    byId("picture-name").textContent = picture.name;
    byId("picture-name").title = picture.name;
    const facts = [];
    if (size) facts.push(text("facts.size", { width: size.width, height: size.height }));
    facts.push(formatName(file), bytesText(file.size));
    if (version?.seconds != null) facts.push(text("facts.seconds", { seconds: number(version.seconds, 1) }));
    byId("picture-facts").textContent = facts.join(" · ");
    const seen = picture.inspection && !version?.found.length ? inspectionWords(picture.inspection) : "";
    byId("picture-found").hidden = !version?.found.length && !seen;
    byId("picture-found").textContent = seen || (version?.found ?? []).map(findingWords).join(" ");
    byId("begin").hidden = Boolean(version) || !picture.isHeld;
    byId("picture-note").hidden = !(picture.needsPreview && picture.preview);
    byId("picture-note").textContent = text("note.preview", { format: formatName(file) });
  }

  #fillSettings({ settings }) {
    for (const input of document.querySelectorAll("input[name=size]")) input.checked = Number(input.value) === settings.scale;
    for (const input of document.querySelectorAll("input[name=model]")) input.checked = input.value === settings.model;
    if (Number(this.#strength.value) !== settings.strength) this.#strength.value = String(settings.strength);
    byId("strength-value").textContent = percent(settings.strength);
    fillSlider(this.#strength, percent(settings.strength));
    this.#fillEnsemble(settings);
    byId("fidelity-field").hidden = !this.#model(settings.model)?.has_fidelity;
    if (document.activeElement !== this.#fidelity) this.#fidelity.value = String(settings.fidelity);
    byId("fidelity-value").textContent = percent(this.#fidelity.value);
    fillSlider(this.#fidelity, percent(this.#fidelity.value));
  }

  #fillEnsemble({ ensemble }) {
    const wanted = this.#changes.ensemble ?? ensemble; // what is chosen, until its run begins
    if (this.#ensemble.value !== String(wanted)) this.#ensemble.value = String(wanted);
  }

  #saveAllWords(album, count) {
    if (album.saving === "all") return text("saveAll.making", album.packed);
    return count > 1 ? text("saveAll", { count }) : text("saveAll.none");
  }

  #fillSaving(album) {
    const { version } = album.current;
    const done = album.pictures.filter((picture) => picture.version?.state === "done");
    const isDone = version?.state === "done";
    byId("save").disabled = !isDone || Boolean(album.saving);
    byId("save").setAttribute("aria-busy", String(album.saving === "one"));
    byId("save-words").textContent = text(album.saving === "one" ? "save.making" : "save");
    byId("save-all").hidden = album.pictures.length < 2;
    byId("save-all").disabled = done.length < 2 || Boolean(album.saving);
    byId("save-all-words").textContent = this.#saveAllWords(album, done.length);
    const lost = isDone && version.lost.length ? version.lost.join(", ") : "";
    byId("save-note").textContent = lost ? text("save.lost", { lost }) : text("save.note");
    byId("use-for-all").hidden = album.pictures.length < 2;
  }
}

/** Return the models that are for photos of every day, those that most photos need first. */
export function usualOf(models) {
  const place = ({ name }) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return models.filter(({ name }) => !RESEARCH.includes(name)).sort((one, other) => place(one) - place(other));
}

/** Return of how many orientations the mean can be had of a photo by the model of some settings; `[1]` where of none. */
export function ensemblesFor(offer, picture, { model }) {
  const { max_all_pixels: most } = offer.limits;
  const pixels = picture.size ? picture.size.width * picture.size.height : 0;
  const offered = offer.models.find(({ name }) => name === model)?.ensembles ?? [1];
  return offered.filter((count) => count === 1 || count * pixels <= most);
}

/** Return the settings with which another model is run: those of before, as far as it has them. */
export function settingsFor(offer, picture, { name }) {
  const { model, fidelity, ensemble } = picture.settings;
  const offered = ensemblesFor(offer, picture, { model: name });
  return { model: name, fidelity: name === model ? fidelity : 1, ensemble: Math.max(...offered.filter((count) => count <= ensemble)) };
}
