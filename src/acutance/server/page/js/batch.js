/** What is going on: the photos that were begun since nothing was, how far they are together, and how long it takes. */

/** From here on a guess of the time that is left is worth something. */
const LEAST_TOLD_S = 5;
const LEAST_TOLD_SHARE = 0.05;

export class Batch {
  #album;
  #versions = new Set();
  #startedAt = 0;
  /** Photos that are still read, one after the other: one may have come to its end before the next begins. */
  coming = [];
  isGoingOn = false;

  constructor(album) {
    this.#album = album;
  }

  /** Look anew; what came to its end is in the batch until this is called once more. */
  update() {
    const { pictures } = this.#album;
    const shown = pictures.map(({ version }) => version).filter(Boolean);
    const open = shown.filter(({ isOver }) => !isOver);
    this.coming = pictures.filter(({ version, isHeld }) => !version && !isHeld);
    const isGoingOn = open.length + this.coming.length > 0;
    if (isGoingOn && !this.isGoingOn) {
      this.#versions.clear();
      this.#startedAt = performance.now();
    }
    this.isGoingOn = isGoingOn;
    for (const version of open) this.#versions.add(version);
    // What was closed or cancelled, or is made in another way now, is nobody's any more.
    for (const version of this.#versions) if (version.state === "cancelled" || !shown.includes(version)) this.#versions.delete(version);
  }

  get open() {
    return [...this.#versions].filter(({ isOver }) => !isOver);
  }

  get count() {
    return this.#versions.size + this.coming.length;
  }

  get done() {
    return this.#versions.size - this.open.length;
  }

  get failed() {
    return [...this.#versions].filter(({ state }) => state === "failed").length;
  }

  /** Share of the work that is done, as if all photos took the same. */
  get share() {
    const running = this.open.reduce((sum, { state, progress }) => sum + (state === "running" ? progress : 0), 0);
    return this.count ? (this.done + running) / this.count : 0;
  }

  /** Seconds from now on, as far as what is done tells; null where it does not yet. */
  get secondsLeft() {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    if (!this.isGoingOn || seconds < LEAST_TOLD_S || this.share < LEAST_TOLD_SHARE) return null;
    return (seconds * (1 - this.share)) / this.share;
  }
}
