/** What may be wrong in a result: asked for when somebody wants to see it, laid over the result, said, and saved. */
import * as api from "./api.js";
import { passes } from "./connection.js";
import { byId, fillSlider } from "./dom.js";
import { onStageKeys } from "./gestures.js";
import { guessLayer } from "./guesses.js";
import { onLanguage, percent, text } from "./language.js";
import { optionsOf } from "./queue.js";
import { errorWords } from "./words.js";

/** So many results may lie on the server for it: who opens a thousand photos looks at few of them. */
const MOST_KEPT = 24;

export class Trust {
  #album;
  #stage;
  #details = byId("trust");
  #isOn = false;
  #opacity = 0.6;
  /** Versions that the server still has. */
  #kept = new Set();
  #laid = null;

  /** `acts`: `{onSave(kind)}`, of `html` or `json`. */
  constructor(album, stage, acts) {
    this.#album = album;
    this.#stage = stage;
    byId("guesses-toggle").addEventListener("click", () => this.toggle());
    onStageKeys({ w: () => this.toggle() });
    this.#details.addEventListener("toggle", () => this.render());
    byId("trust-show").addEventListener("change", ({ target }) => this.#set(target.checked));
    byId("trust-opacity").addEventListener("input", ({ target }) => {
      this.#opacity = Number(target.value);
      this.render();
    });
    for (const kind of ["html", "json"]) byId(`report-${kind}`).addEventListener("click", () => acts.onSave(kind));
    onLanguage(() => this.render());
  }

  /** Show the guesses over the result, or no longer. */
  toggle() {
    if (!byId("guesses-toggle").disabled) this.#set(!this.#isOn);
  }

  #set(isOn) {
    this.#isOn = isOn;
    if (isOn) this.#details.open = true;
    this.render();
  }

  render() {
    const version = this.#album.current?.version;
    const isDone = version?.state === "done";
    this.#keepOpen();
    const isWanted = this.#isOn || this.#details.open;
    if (isDone && isWanted && version.isQuestioned && !version.trust) this.#ask(version);
    this.#lay(isDone && this.#isOn ? version : null);
    this.#fill(isDone ? version : null);
  }

  /** Let go of what nobody can ask about from where the page is: of photos that were closed, or run anew in another way. */
  #keepOpen() {
    const open = new Set(this.#album.pictures);
    for (const version of this.#album.history) if (version.jobId && version.isQuestioned) this.#kept.add(version);
    const isOpen = (version) => this.#kept.has(version) && open.has(version.picture) && version.picture.version === version;
    const latest = new Set(this.#album.history.filter(isOpen).slice(0, MOST_KEPT));
    const isBeingAsked = (version) => version.trust && !version.trust.isOver; // it is let go of at the end
    this.#letGo([...this.#kept].filter((version) => !latest.has(version) && !isBeingAsked(version)));
  }

  async #ask(version) {
    version.trust = { isOver: false, record: null, layer: null, files: {}, error: null };
    while (!version.trust.isOver) {
      try {
        await this.#attempt(version);
        version.trust.isOver = true;
      } catch (error) {
        if (await passes(error)) continue;
        if (error instanceof api.Refusal && [404, 410].includes(error.status) && version.jobId) {
          version.jobId = null; // another server, or a day has gone by
          continue;
        }
        Object.assign(version.trust, { error, isOver: true });
      }
    }
    this.#letGo([version]);
    this.#album.changed();
  }

  async #attempt(version) {
    if (!version.jobId) await this.#again(version);
    const { trust, jobId } = version;
    trust.files.json ??= await api.fetchReport(jobId, "json");
    trust.record ??= JSON.parse(await trust.files.json.text());
    trust.files.html ??= await api.fetchReport(jobId, "html");
    if (trust.record.guesses && !trust.layer) trust.layer = await guessLayer(await api.fetchMap(jobId));
  }

  /** Have the server make a result once more that it has forgotten: it is the same again. */
  async #again(version) {
    const { id } = await api.submit(version.picture.file, optionsOf(version), {});
    version.jobId = id;
    await api.follow(id);
  }

  /** Let the server forget results that it kept for their report. */
  #letGo(versions) {
    for (const version of versions) {
      this.#kept.delete(version);
      if (version.jobId) api.forget(version.jobId).catch(() => {}); // else when the page is left, or in a day
      version.jobId = null;
    }
  }

  #lay(version) {
    const layer = version?.trust?.layer ?? null;
    const laid = layer && `${version.key} ${this.#opacity}`;
    if (laid === this.#laid) return;
    this.#laid = laid;
    this.#stage.setOverlay(layer && { layer, opacity: this.#opacity });
  }

  #fill(version) {
    const trust = version?.trust;
    const button = byId("guesses-toggle");
    button.disabled = !version?.isQuestioned;
    button.setAttribute("aria-pressed", String(this.#isOn));
    this.#details.hidden = !version;
    byId("trust-show").checked = this.#isOn;
    const hasMap = Boolean(trust?.layer);
    for (const id of ["trust-map", "trust-legend"]) byId(id).hidden = !hasMap;
    byId("trust-opacity").disabled = !this.#isOn;
    byId("trust-opacity").value = String(this.#opacity);
    fillSlider(byId("trust-opacity"), percent(this.#opacity));
    const words = version && this.#details.open ? this.#words(version) : "";
    if (byId("trust-words").textContent !== words) byId("trust-words").textContent = words;
    for (const kind of ["html", "json"]) byId(`report-${kind}`).disabled = !trust?.files[kind] || Boolean(this.#album.saving);
  }

  #words(version) {
    const { trust } = version;
    if (!version.isQuestioned) return text("trust.notAsked");
    if (trust?.error) return errorWords(trust.error);
    if (!trust?.isOver) return text("trust.working");
    return trustSentences(trust.record, version.picture.settings.strength).join(" ");
  }
}

/** Say what a record tells of its result, in a few sentences. */
export function trustSentences({ guesses, consistency, settings }, strength) {
  if (settings.strength === 0) return [text("trust.unchanged")];
  if (!guesses && !consistency) return [text("trust.several")];
  const said = [];
  if (guesses) {
    said.push(text("trust.share", { share: shareText(guesses.share) }));
    if (!guesses.is_calibrated) said.push(text("trust.rough"));
  }
  if (consistency) {
    const { contradicted, uncarried } = consistency;
    // Rounded so that the two make up the whole.
    const [whole, against] = [uncarried, contradicted].map((share) => Math.round(100 * share) / 100);
    const words = { uncarried: shareText(uncarried), contradicted: percent(against), unsupported: percent(Math.max(0, whole - against)) };
    said.push(text(consistency.is_exact ? "trust.carriedExact" : "trust.carried", words));
  }
  if (strength !== 1) said.push(text("trust.strength"));
  return said;
}

/** Return a small share as it is, not as nothing. */
function shareText(share) {
  return share > 0 && share < 0.005 ? text("trust.lessThan", { percent: "1 %" }) : percent(share);
}
