/** The tab's title: how far the photos are, for who waits in another tab. */
import { number, percent, text } from "./language.js";

export class Title {
  #batch;
  /** Whether it came to its end while nobody looked at the page. */
  #isUnseen = false;
  #wasGoingOn = false;
  #isLost = false;

  constructor(batch) {
    this.#batch = batch;
    document.addEventListener("visibilitychange", () => this.render());
  }

  /** Say that the server is gone, or back. */
  setLost(isLost) {
    this.#isLost = isLost;
    this.render();
  }

  render() {
    const { isGoingOn, count } = this.#batch;
    if (!document.hidden || isGoingOn) this.#isUnseen = false;
    else if (this.#wasGoingOn && count) this.#isUnseen = true;
    this.#wasGoingOn = isGoingOn;
    const words = isGoingOn ? this.#progress() : this.#isUnseen ? this.#end() : "";
    const title = words ? text("title.state", { words }) : text("title");
    if (document.title !== title) document.title = title;
  }

  #progress() {
    if (this.#isLost) return text("title.lost");
    const { count, done, share } = this.#batch;
    return count === 1 ? percent(share) : text("title.several", { percent: percent(share), done: number(done), count: number(count) });
  }

  #end() {
    const { failed } = this.#batch;
    return failed ? text("title.failed", { count: number(failed) }) : text("title.done");
  }
}
