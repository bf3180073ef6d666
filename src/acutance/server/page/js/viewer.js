/** The viewer: decodes what is looked at, and shows it on the stage with what surrounds it. */
import * as api from "./api.js";
import { byId } from "./dom.js";
import { addGestures } from "./gestures.js";
import { durationText, percent, text } from "./language.js";
import { Layer } from "./layers.js";
import { Looking } from "./looking.js";
import { Loupe } from "./loupe.js";
import { Stage } from "./stage.js";
import { errorWords } from "./words.js";

const THUMB_PX = 144;
const ZOOM_STEP = 1.5;

export class Viewer {
  #album;
  #stage = new Stage();
  #shown = { picture: null, version: null };
  #looking = new Looking(this.#stage, () => this.#grow());
  #layers = { before: null, of: null };
  #wanted = 0;
  #growing = null;

  constructor(album, { onCancel, onRetry, onRemove, step }) {
    this.#album = album;
    const loupe = new Loupe(this.#stage);
    addGestures(this.#stage, { toggleLoupe: () => loupe.toggle(), step });
    byId("zoom-in").addEventListener("click", () => this.#stage.zoomBy(ZOOM_STEP));
    byId("zoom-out").addEventListener("click", () => this.#stage.zoomBy(1 / ZOOM_STEP));
    byId("zoom-fit").addEventListener("click", () => this.#stage.fit());
    byId("zoom-one").addEventListener("click", () => this.#stage.zoomTo(1));
    byId("view-divider").addEventListener("click", () => this.#setSides(false));
    byId("view-sides").addEventListener("click", () => this.#setSides(true));
    byId("cancel").addEventListener("click", onCancel);
    byId("retry").addEventListener("click", onRetry);
    byId("failed-remove").addEventListener("click", onRemove);
    for (const name of ["view", "drawn"]) this.#stage.addEventListener(name, () => this.#fillZoom());
  }

  /** Decode a picture's file for its size and its thumbnail; where the browser cannot, the server has to. */
  static async prepare(picture) {
    try {
      await learn(picture, picture.file);
    } catch {
      picture.needsPreview = true;
    }
  }

  /** Get a preview of a picture that the browser cannot show; `onSent` is called when the server has no more to do for it. */
  static async preview(picture, onSent = () => {}) {
    try {
      // Strength 0 changes nothing: the picture itself, in a format that browsers show and that is coded quickly.
      const asked = (format) => api.sharpen(picture.file, { strength: 0, format });
      const { blob } = await asked("jpeg").catch(() => asked("png"));
      onSent();
      await learn(picture, blob, { isKept: true });
      picture.preview = blob;
    } catch {
      // Of pages there is none, and what cannot be read at all is refused when it is worked on.
    }
  }

  /** The picture that is on the stage. */
  get shown() {
    return this.#layers.of;
  }

  /** Where marks are drawn. */
  get stage() {
    return this.#stage;
  }

  render() {
    const picture = this.#album.current;
    if (!picture) {
      this.#shown = { picture: null, version: null };
      return;
    }
    this.#fillWorking(picture.version);
    const version = picture.version?.state === "done" ? picture.version : null;
    const { preview } = picture;
    const isBeingMade = picture.version && !picture.version.isOver;
    this.#looking.at(isBeingMade ? picture.version : null, this.#layers.of === picture ? this.#layers.before : null);
    const isLeftUnfinished = this.#growing !== null && !isBeingMade;
    if (picture !== this.#shown.picture || version !== this.#shown.version || preview !== this.#shown.preview || isLeftUnfinished) this.#change(picture, version);
    this.#fillLabels(picture);
    if (this.#stage.strength !== picture.settings.strength) this.#stage.setStrength(picture.settings.strength);
  }

  /** Show what is finished of a result that is being made. */
  #grow() {
    const { picture, version } = this.#shown;
    if (version || this.#layers.of !== picture || !this.#looking.layer) return;
    if (this.#growing === this.#looking.layer) return this.#stage.redraw();
    this.#growing = this.#looking.layer;
    byId("stage").classList.add("is-growing");
    this.#stage.show(this.#layers.before, this.#growing, { keepsView: true });
    this.#fillLabels(picture);
  }

  async #change(picture, version) {
    const keepsView = picture === this.#shown.picture;
    this.#shown = { picture, version, preview: picture.preview };
    this.#growing = null;
    this.#wanted += 1;
    const wanted = this.#wanted;
    try {
      const [before, after] = await this.#decode(picture, version);
      if (wanted !== this.#wanted) {
        after?.close();
        if (before !== this.#layers.before) before?.close();
        return;
      }
      this.#layers = { before, of: picture };
      byId("stage").classList.remove("is-growing");
      this.#stage.show(before, after, { keepsView });
    } catch (error) {
      if (wanted === this.#wanted) this.#stage.show(null, null, { keepsView: false });
      if (version) this.#fail(text("error.cannotShow", { words: errorWords(error) }));
    }
    this.#fillLabels(picture);
  }

  async #decode(picture, version) {
    if (picture.needsPreview && !picture.preview) {
      if (!version || version.isUnseen) return [null, null];
      await Viewer.preview(picture); // the server was not there when it was wanted first
    }
    const before = await this.#before(picture);
    if (!picture.size) {
      picture.size = { width: before.width, height: before.height };
      this.#album.changed();
    }
    return [before, version && (await Layer.decode(version.blob))];
  }

  async #before(picture) {
    if (this.#layers.of === picture && this.#layers.before) return this.#layers.before;
    const { decoded } = picture;
    picture.decoded = null;
    return decoded ?? Layer.decode(picture.preview ?? picture.file);
  }

  #setSides(isSideBySide) {
    this.#stage.setSideBySide(isSideBySide);
    byId("view-divider").setAttribute("aria-pressed", String(!isSideBySide));
    byId("view-sides").setAttribute("aria-pressed", String(isSideBySide));
    byId("stage").classList.toggle("is-side-by-side", isSideBySide);
  }

  #fillWorking(version) {
    const isWorking = Boolean(version && !version.isOver);
    byId("working").hidden = !isWorking;
    byId("failed").hidden = !["failed", "cancelled"].includes(version?.state);
    byId("retry").hidden = false;
    if (isWorking) {
      const bar = byId("progress");
      if (["uploading", "running"].includes(version.state)) bar.value = version.progress;
      else bar.removeAttribute("value");
      const left = version.secondsLeft;
      const share = percent(version.progress);
      const words = left === null ? text(`working.${version.state}`, { percent: share }) : text("working.left", { percent: share, left: durationText(left) });
      byId("working-words").textContent = words;
      bar.setAttribute("aria-label", words);
    } else if (version?.state === "done" && version.isUnseen) {
      this.#fail(text("note.unseen"));
      byId("retry").hidden = true;
    } else if (version?.state === "failed") {
      this.#fail(errorWords(version.error));
    } else if (version?.state === "cancelled") {
      this.#fail(text("error.cancelled.seen"));
    }
  }

  #fail(words) {
    byId("failed").hidden = false;
    byId("failed-words").textContent = words;
  }

  #fillLabels(picture) {
    const hasBoth = this.#stage.hasBoth;
    const words = text(hasBoth ? "stage" : "stage.before", { name: picture.name });
    byId("stage").setAttribute("aria-label", words);
    byId("canvas").setAttribute("aria-label", words);
    byId("stage").classList.toggle("has-both", hasBoth);
    byId("loupe-toggle").disabled = byId("view-sides").disabled = byId("view-divider").disabled = !hasBoth;
  }

  #fillZoom() {
    byId("zoom-level").textContent = this.#stage.size ? percent(this.#stage.view.scale) : "";
    byId("stage").classList.toggle("is-zoomed-in", this.#stage.isZoomedIn);
  }
}

/** Decode a picture from its file, or from a copy that the browser shows, for its size and its thumbnail. */
async function learn(picture, blob, { isKept = false } = {}) {
  const layer = await Layer.decode(blob);
  picture.size = { width: layer.width, height: layer.height };
  picture.thumb = URL.createObjectURL(await layer.thumbnail(THUMB_PX));
  if (isKept) picture.decoded = layer;
  else layer.close();
}
