/** The tab's title: how far the photos are, for who waits in another tab. */
import { number, percent, text } from "./language.js";

export class Title {
  #album;
  /** Versions that were begun since nothing was going on. */
  #batch = new Set();
  /** What is said until somebody looks at the page, since it came to its end while nobody did. */
  #unseen = null;
  #isLost = false;

  constructor(album) {
    this.#album = album;
    document.addEventListener("visibilitychange", () => this.render());
  }

  /** Say that the server is gone, or back. */
  setLost(isLost) {
    this.#isLost = isLost;
    this.render();
  }

  render() {
    const words = this.#words();
    const title = words ? text("title.state", { words }) : text("title");
    if (document.title !== title) document.title = title;
  }

  #words() {
    if (!document.hidden) this.#unseen = null;
    const shown = this.#album.pictures.map(({ version }) => version).filter(Boolean);
    const isGoingOn = shown.some((version) => !version.isOver);
    for (const version of shown) if (!version.isOver) this.#batch.add(version);
    // What was closed or cancelled, or is made in another way now, is nobody's any more.
    for (const version of this.#batch) if (version.state === "cancelled" || version.picture.version !== version || !shown.includes(version)) this.#batch.delete(version);
    if (isGoingOn) {
      this.#unseen = null;
      return this.#isLost ? text("title.lost") : this.#progress();
    }
    if (document.hidden && this.#batch.size) this.#unseen = { failed: [...this.#batch].filter(({ state }) => state === "failed").length };
    this.#batch.clear();
    if (!this.#unseen) return "";
    return this.#unseen.failed ? text("title.failed", { count: number(this.#unseen.failed) }) : text("title.done");
  }

  #progress() {
    const versions = [...this.#batch];
    const over = versions.filter(({ isOver }) => isOver).length;
    const share = versions.reduce((sum, { isOver, state, progress }) => sum + (isOver ? 1 : state === "running" ? progress : 0), 0) / versions.length;
    return versions.length === 1 ? percent(share) : text("title.several", { percent: percent(share), done: number(over), count: number(versions.length) });
  }
}
