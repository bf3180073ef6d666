/** A line on which nothing comes any more: a network that is gone says nothing of it, and a browser may wait for hours. */

/** The server says something every 15 s where it has nothing to tell. */
const SILENT_MS = 45_000;

/** So long may an upload stand still; the server itself gives up slow ones before. */
const STILL_MS = 120_000;

/** Ends what hears nothing for too long; `signal` is aborted then, and whenever `outer` is. */
export class Silence {
  #controller = new AbortController();
  #outer;
  #stop = () => this.#controller.abort();
  #timer = 0;
  /** Whether it was too long. */
  isTooLong = false;

  constructor(outer) {
    this.#outer = outer;
    outer?.addEventListener("abort", this.#stop);
    if (outer?.aborted) this.#stop();
    this.heard();
  }

  get signal() {
    return this.#controller.signal;
  }

  /** Begin to wait anew. */
  heard() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.isTooLong = true;
      this.#controller.abort();
    }, SILENT_MS);
  }

  /** Wait no longer, and let go of what is not read. */
  end() {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#stop);
    this.#controller.abort();
  }
}

/** End an upload that stands still: `onStill` is called before it is aborted. */
export function endWhenStill(request, onStill) {
  let timer = 0;
  const stop = () => {
    onStill();
    request.abort();
  };
  const move = () => {
    clearTimeout(timer);
    timer = setTimeout(stop, STILL_MS);
  };
  request.upload.addEventListener("progress", move);
  request.upload.addEventListener("loadend", () => clearTimeout(timer)); // the work itself may take its time
  request.addEventListener("loadend", () => clearTimeout(timer));
  move();
}
