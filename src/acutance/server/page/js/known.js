/** What is known of a photo: the part that is wanted, and what blurred it; the part's result is shown at once. */
import { byId } from "./dom.js";
import { number, onLanguage, text } from "./language.js";
import { LEAST_REGION_PX, Marks } from "./marks.js";
import { AROUND_PX, sharpenPart, widened, withinPicture } from "./parts.js";
import { knownOptions, runOptions } from "./pictures.js";
import { errorWords } from "./words.js";

/** After the last change of a number. */
const WAIT_MS = 250;

/** Around a region, times the blur, so that what is undone has its surroundings. */
const AROUND_TIMES = 2;

const SIDES = ["x", "y", "width", "height"];
const START_PX = { motion: 10, defocus: 3, gaussian: 2 };

export class Known {
  #album;
  #stage;
  #acts;
  #marks;
  #picture = null;
  #waiting = 0;
  #abort = new AbortController();
  #say = () => "";
  #canTell;

  /** `acts`: `{onApply({told, region})}`; `offer` is the answer of /v1/models. */
  constructor(album, stage, offer, acts) {
    this.#album = album;
    this.#stage = stage;
    this.#acts = acts;
    this.#canTell = offer.models.some(({ name }) => ["auto", "motion"].includes(name));
    this.#marks = new Marks(stage, {
      onRegion: (region) => this.#set({ region }, 0),
      onLine: ({ px, degrees }) => this.#set({ kind: "motion", px, degrees }, 0),
      onMode: (mode) => {
        byId("mark-region").setAttribute("aria-pressed", String(mode === "region"));
        byId("mark-line").setAttribute("aria-pressed", String(mode === "line"));
      },
      kept: () => this.#kept(),
    });
    for (const mode of ["region", "line"]) {
      byId(`mark-${mode}`).addEventListener("click", () => this.#marks.setMode(this.#marks.mode === mode ? null : mode));
    }
    byId("mark-line").hidden = byId("known-kind").parentElement.hidden = !this.#canTell;
    byId("known-kind").addEventListener("change", ({ target }) => this.#set({ kind: target.value, px: START_PX[target.value], degrees: 0 }, 0));
    for (const name of ["px", "degrees"]) byId(`known-${name}`).addEventListener("input", ({ target }) => this.#typed(target, { [name]: Number(target.value) }));
    for (const side of SIDES) byId(`region-${side}`).addEventListener("input", ({ target }) => this.#typed(target, this.#typedRegion()));
    byId("known-apply").addEventListener("click", () => acts.onApply(wanted(this.#picture.known)));
    byId("known-clear").addEventListener("click", () => {
      this.#set({ kind: "", region: null }, 0);
      acts.onApply({ told: null, region: null });
    });
    byId("known").addEventListener("toggle", () => stage.setMarks(this.#kept()));
    onLanguage(() => this.#fill());
  }

  render(album) {
    const picture = album.current;
    byId("known").hidden = !picture?.size || picture.settings.scale !== 1;
    if (!picture) return;
    if (picture !== this.#picture) {
      this.#picture = picture;
      picture.known ??= { kind: "", px: 0, degrees: 0, region: null };
      this.#forget();
      this.#stage.setMarks(this.#kept());
    }
    if (picture.version?.state === "done" && sameKnown(picture.version, wanted(picture.known))) this.#forget();
    this.#fill();
  }

  /** Ask anew for the part, at another strength perhaps. */
  refresh() {
    if (this.#stage.hasPatch) this.#later(WAIT_MS);
  }

  #typed(input, values) {
    if (input.validity.valid && input.value !== "") this.#set(values, WAIT_MS);
  }

  #typedRegion() {
    // Not complete while somebody is writing it.
    return { region: Object.fromEntries(SIDES.map((side) => [side, Number(byId(`region-${side}`).value)])) };
  }

  #set(values, waitMs) {
    Object.assign(this.#picture.known, values);
    this.#stage.setMarks(this.#kept());
    this.#fill();
    this.#later(waitMs);
  }

  #kept() {
    if (!byId("known").open || !this.#picture) return {};
    const { region: written, kind, px, degrees } = this.#picture.known;
    const region = complete(written);
    if (kind !== "motion") return { region };
    const size = this.#picture.size;
    const middle = region ? { x: region.x + region.width / 2, y: region.y + region.height / 2 } : { x: size.width / 2, y: size.height / 2 };
    const [dx, dy] = [(px / 2) * Math.cos((degrees * Math.PI) / 180), (px / 2) * Math.sin((degrees * Math.PI) / 180)];
    return { region, line: { from: { x: middle.x - dx, y: middle.y - dy }, to: { x: middle.x + dx, y: middle.y + dy } } };
  }

  #forget() {
    clearTimeout(this.#waiting);
    this.#abort.abort();
    this.#stage.setPatch(null);
    this.#say = () => "";
  }

  #later(waitMs) {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#look(), waitMs);
  }

  /** Sharpen the region, of which only the surroundings go to the server, and lay it over the picture. */
  async #look() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const [picture, { signal }] = [this.#picture, this.#abort];
    const region = picture.known.region && complete(withinPicture(picture.known.region, picture.size));
    if (!region) {
      this.#stage.setPatch(null);
      return this.#tell(() => (picture.known.kind ? text("known.whole") : ""));
    }
    const start = performance.now();
    this.#tell(() => text("known.working"));
    try {
      const { told } = wanted(picture.known);
      const around = Math.ceil(Math.max(AROUND_PX, AROUND_TIMES * (told ? picture.known.px : 0)));
      const part = widened(region, around, picture.size);
      const inside = { ...region, x: region.x - part.x, y: region.y - part.y };
      const { model, strength } = picture.settings;
      const asked = { strength, ...runOptions(picture.settings), ...knownOptions({ told, region: regionText(inside) }), ...(told ? { fidelity: null } : { model }) };
      const { layer } = await sharpenPart(this.#stage, part, asked, signal);
      if (signal.aborted) return layer.close();
      this.#stage.setPatch({ layer, part, region });
      const seconds = (performance.now() - start) / 1000;
      this.#tell(() => text("known.done", { seconds: number(seconds, 1) }));
    } catch (error) {
      if (!signal.aborted) this.#tell(() => errorWords(error));
    }
  }

  #tell(say) {
    this.#say = say;
    this.#fill();
  }

  #fill() {
    byId("known-words").textContent = this.#say();
    const known = this.#picture?.known;
    if (!known) return;
    byId("known-kind").value = known.kind;
    byId("known-px-field").hidden = !known.kind;
    byId("known-degrees-field").hidden = known.kind !== "motion";
    if (known.kind) byId("known-px-words").textContent = text(`known.px.${known.kind}`);
    put("known-px", known.kind ? known.px : "");
    put("known-degrees", known.degrees);
    for (const side of SIDES) put(`region-${side}`, known.region?.[side] || (complete(known.region) ? 0 : ""));
    byId("known-apply").disabled = !known.kind && !complete(known.region);
    byId("known-clear").disabled = !known.kind && !known.region;
  }
}

/** Put a value into a field in which nobody is writing. */
function put(id, value) {
  if (document.activeElement !== byId(id)) byId(id).value = String(value);
}

/** Say what a picture's run is told, as `{told, region}` of settings. */
function wanted({ kind, px, degrees, region }) {
  return { told: kind ? { kind, words: kind === "motion" ? `${px}px@${degrees}deg` : `${px}px` } : null, region: complete(region) && regionText(region) };
}

/** Return a region that is one, else null. */
function complete(region) {
  return region && Math.min(region.width, region.height) >= LEAST_REGION_PX ? region : null;
}

function regionText({ x, y, width, height }) {
  return [x, y, width, height].join();
}

function sameKnown(version, known) {
  return JSON.stringify(knownOptions(version)) === JSON.stringify(knownOptions(known));
}
