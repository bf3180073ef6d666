/** The pictures of this visit, what was made of each, and what is asked for: the page's whole state. */

const KEY_BYTES = 16;

/** From here on a guess of the time that is left is worth something. */
const LEAST_TOLD_S = 1;
const LEAST_TOLD_SHARE = 0.05;

/** One way in which a picture is sharpened: a run of the network. Its strength is applied to what comes out. */
export class Version {
  constructor(picture, settings) {
    this.picture = picture;
    Object.assign(this, runSettings(settings));
    /** waiting → uploading → queued → running → done, failed or cancelled; busy where the server says to come later. */
    this.state = "waiting";
    this.progress = 0;
    /** Name for the server, so that a post that is repeated is not done twice. */
    this.key = randomName();
    this.jobId = null;
    /** What is finished of it on the server, while somebody looks. */
    this.tiles = [];
    /** When the server began, by the page's clock. */
    this.runningAt = null;
    /** What came out, at strength 1: the very bytes of the download if `isPreview` is false. */
    this.blob = null;
    this.name = "";
    this.isPreview = false;
    /** Whether nothing can show it: pages, which no format of the web holds. */
    this.isUnseen = false;
    this.seconds = null;
    this.lost = [];
    /** What was seen in the picture, what was done, and what that changed: sentences of the server. */
    this.found = [];
    /** The model that ran, of `auto` the one that was chosen; null where the picture was left as it is. */
    this.ran = null;
    /** What can be trusted of it: see `trust.js`; null where nobody has asked. */
    this.trust = null;
    this.error = null;
    this.finishedAt = null;
    this.abort = new AbortController();
  }

  /** Begin anew on the server, as if it had never been asked. */
  reset() {
    this.jobId = null;
    this.tiles = [];
    this.runningAt = null;
    this.key = randomName();
  }

  /** Whether the server can question what comes out: no record tells a part or a told blur. */
  get isQuestioned() {
    return !this.told && !this.region;
  }

  /** Seconds that it will take from now on, as far as its progress tells; null where it does not yet. */
  get secondsLeft() {
    if (this.state !== "running" || this.runningAt === null) return null;
    const seconds = (performance.now() - this.runningAt) / 1000;
    if (seconds < LEAST_TOLD_S || this.progress < LEAST_TOLD_SHARE || this.progress >= 1) return null;
    return (seconds * (1 - this.progress)) / this.progress;
  }

  get isOver() {
    return ["done", "failed", "cancelled"].includes(this.state);
  }
}

/** A file that was given to the page. */
export class Picture {
  constructor(file, settings) {
    this.id = randomName();
    this.file = file;
    this.settings = { ...settings };
    /** By `versionKey`. */
    this.versions = new Map();
    /** Pixels; null until it was decoded. */
    this.size = null;
    /** Object URL of a small copy; null until there is one. */
    this.thumb = null;
    /** Whether the browser itself cannot show the file. */
    this.needsPreview = false;
    /** What the server said of it when it was asked to look only; null where it was not. */
    this.inspection = null;
    /** Whether somebody chooses first, since it came with many. */
    this.isHeld = false;
    /** A copy made by the server, where the browser cannot show the file; and, until somebody takes it, decoded. */
    this.preview = null;
    this.decoded = null;
  }

  get name() {
    return this.file.name;
  }

  /** The version that the settings ask for, if it was begun. */
  get version() {
    return this.versions.get(versionKey(this.settings)) ?? null;
  }
}

/** All of it, and who wants to hear of changes. */
export class Album extends EventTarget {
  constructor() {
    super();
    /** Shown in the strip. */
    this.pictures = [];
    /** Finished versions, latest first. */
    this.history = [];
    this.current = null;
    /** What a new picture begins with. */
    this.settings = { model: null, scale: 1, fidelity: 1, ensemble: 1, strength: 1, told: null, region: null };
  }

  add(file) {
    const picture = new Picture(file, this.settings);
    this.pictures.push(picture);
    this.current ??= picture;
    this.changed();
    return picture;
  }

  show(picture) {
    if (!this.pictures.includes(picture)) this.pictures.push(picture);
    this.current = picture;
    this.changed();
  }

  /** Take a picture out of the strip; what was made of it stays in the history. */
  remove(picture) {
    const index = this.pictures.indexOf(picture);
    if (index < 0) return;
    this.pictures.splice(index, 1);
    for (const version of picture.versions.values()) if (!version.isOver) version.abort.abort();
    if (this.current === picture) this.current = this.pictures[Math.min(index, this.pictures.length - 1)] ?? null;
    this.changed();
  }

  /** Forget a result. */
  forget(version) {
    this.history = this.history.filter((other) => other !== version);
    version.picture.versions.delete(versionKey(version));
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Return those of some settings by which a run is made; all but the strength, which is applied to what comes out.
 *
 * `ensemble` is the number of orientations of which the mean is taken; `told` is what blurred the picture, `{kind, words}`, and
 * `region` the `x,y,width,height` of the part that is sharpened, null where they are not known, and all of it.
 */
export function runSettings({ model, fidelity, ensemble, scale, told, region }) {
  return { model, fidelity, ensemble, scale, told, region };
}

/** Name what makes a run: two settings of one key need one run only. */
export function versionKey({ model, fidelity, ensemble, told, region }) {
  return [model, fidelity, ensemble, told?.kind, told?.words, region].join("@");
}

/** Return what is known as options of the server. */
export function knownOptions({ told, region }) {
  return { ...(told ? { [told.kind]: told.words } : {}), region };
}

/** Return how the network is run as options of the server, of which those are left out that it takes anyway. */
export function runOptions({ fidelity, ensemble }) {
  return { fidelity: fidelity === 1 ? null : fidelity, ensemble: ensemble === 1 ? null : ensemble };
}

function randomName() {
  // Not randomUUID, which browsers only give to pages that came over TLS or from this machine.
  return Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
