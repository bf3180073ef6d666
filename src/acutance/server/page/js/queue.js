/** Runs versions on the server, a few at a time, through refusals that pass and a server that goes away and comes back. */
import * as api from "./api.js";
import { passes } from "./connection.js";
import { Version, knownOptions, runOptions, versionKey } from "./pictures.js";

/** One is uploaded while another is worked on; browsers allow six connections to a server, and others need some too. */
const AT_ONCE = 2;

const END_STATES = new Set(["done", "failed", "cancelled", "expired"]);

export class Queue {
  #album;
  #waiting = [];
  #running = 0;
  #sending = null;
  #onOver;

  /** `onOver(version)` is called when a version is done or failed. */
  constructor(album, onOver) {
    this.#album = album;
    this.#onOver = onOver;
  }

  get isIdle() {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** Begin what a picture's settings ask for, unless it was begun. The picture that is looked at goes first. */
  ensure(picture) {
    const key = versionKey(picture.settings);
    const known = picture.versions.get(key);
    // Nobody waits any more for what other settings asked for, and it would keep this one waiting.
    for (const other of picture.versions.values()) if (other !== known && !other.isOver) this.cancel(other);
    if (known && !["failed", "cancelled"].includes(known.state)) return;
    this.#waiting.push(begun(picture));
    this.#next();
    this.#album.changed();
  }

  cancel(version) {
    this.#waiting = this.#waiting.filter((other) => other !== version);
    version.abort.abort();
    this.#over(version, "cancelled");
  }

  /** Cancel all that goes on, and what the photos that are still read would begin. */
  cancelAll({ open, coming }) {
    for (const version of [...open, ...coming.map(begun)]) this.cancel(version);
  }

  #next() {
    // One is sent at a time: the server begins with what comes first, which is to be the one that is looked at.
    while (this.#running < AT_ONCE && !this.#isSending && this.#waiting.length) {
      const looked = this.#waiting.findIndex((version) => version.picture === this.#album.current);
      const [version] = this.#waiting.splice(Math.max(0, looked), 1);
      if (version.abort.signal.aborted) continue;
      this.#running += 1;
      this.#sending = version;
      this.#run(version).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  /** Whether the version that was begun last is still on its way to the server. */
  get #isSending() {
    return Boolean(this.#sending && !this.#sending.isOver && !this.#sending.jobId);
  }

  async #run(version) {
    while (!version.isOver) {
      try {
        await this.#attempt(version);
        this.#over(version, "done");
      } catch (error) {
        if (!(await this.#canGoOn(version, error))) {
          version.error = error;
          this.#over(version, version.abort.signal.aborted ? "cancelled" : "failed");
        }
      }
    }
    // A finished one is kept while it may be asked what is wrong in it: see `trust.js`.
    const isKept = version.state === "done" && version.isQuestioned;
    if (version.jobId && !isKept) api.forget(version.jobId).catch(() => {});
  }

  async #attempt(version) {
    const { signal } = version.abort;
    if (!version.jobId) {
      this.#tell(version, "uploading", 0);
      const onUpload = (share) => this.#tell(version, "uploading", share);
      const job = await api.submit(version.picture.file, optionsOf(version), { key: version.key, onUpload, signal });
      version.jobId = job.id;
      signal.throwIfAborted();
      this.#next();
    }
    this.#tell(version, "queued", 0);
    const job = await api.follow(version.jobId, (seen) => this.#see(version, seen), signal);
    const { blob, name } = await api.fetchResult(version.jobId, signal);
    Object.assign(version, { blob, name, seconds: job.result.seconds, lost: job.result.lost, found: job.result.found, ran: job.result.model, isPreview: version.picture.needsPreview && !version.isUnseen });
  }

  /** Wait where waiting helps; say whether it did. */
  async #canGoOn(version, error) {
    const { signal } = version.abort;
    if (signal.aborted) return false;
    if (await passes(error, () => this.#tell(version, "busy", 0))) return !signal.aborted;
    const isForgotten = error.status === 404 && version.jobId; // by another server: from the beginning
    const isUnseen = error.code === "invalid_option" && version.picture.needsPreview && !version.isUnseen;
    if (!(error instanceof api.Refusal) || !(isForgotten || isUnseen)) return false;
    version.isUnseen ||= isUnseen; // a picture that no preview can hold: it is made all the same
    version.reset();
    return true;
  }

  #see(version, { state, progress, tiles }) {
    if (state === "running") version.runningAt ??= performance.now();
    version.tiles = tiles;
    this.#tell(version, state, progress);
  }

  #tell(version, state, progress) {
    if (version.isOver) return;
    version.state = END_STATES.has(state) ? "running" : state; // over is what the page says, not the job
    version.progress = progress;
    this.#album.changed();
  }

  #over(version, state) {
    if (version.isOver) return;
    version.state = state;
    version.finishedAt = new Date();
    if (state === "done") this.#album.history.unshift(version);
    this.#album.changed();
    if (state !== "cancelled") this.#onOver(version);
  }
}

/** Return a picture's version for its settings, made now. */
function begun(picture) {
  const version = new Version(picture, picture.settings);
  picture.versions.set(versionKey(version), version);
  return version;
}

/** Return what a version asks the server for. */
export function optionsOf(version) {
  return {
    model: version.told ? null : version.model, // the server takes the one that can be told
    ...knownOptions(version),
    report: version.isQuestioned || null,
    ...runOptions(version),
    format: version.picture.needsPreview && !version.isUnseen ? "png" : null,
  };
}
