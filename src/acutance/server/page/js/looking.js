/** Looking on while a picture is sharpened: the server is told what is seen, and its finished tiles are fetched. */
import * as api from "./api.js";
import { Growing } from "./growing.js";

/** Between two words to the server about what is seen. */
const TELL_MS = 200;

export class Looking {
  #stage;
  #version = null;
  #told = "";
  #timer = 0;
  #wanted = new Set();
  #onTile;
  /** What is finished, as a layer; null until there is a tile. */
  layer = null;

  /** `onTile()` is called when there is more to be seen. */
  constructor(stage, onTile) {
    this.#stage = stage;
    this.#onTile = onTile;
    for (const name of ["view", "divider"]) stage.addEventListener(name, () => this.#later());
  }

  /** Look at a version that is being made, over the layer of the picture before; null looks at none. */
  at(version, before) {
    if (version !== this.#version) {
      this.#version = version;
      this.#told = "";
      this.#wanted.clear();
      this.layer = null; // closed by the stage, where it was shown
    }
    if (!version?.jobId) return;
    if (!this.#told) this.#tell();
    if (before) for (const tile of version.tiles) if (!this.#wanted.has(tile.url)) this.#fetch(version, before, tile);
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), TELL_MS);
  }

  #tell() {
    if (!this.#version?.jobId || this.#version.isOver) return;
    const { size } = this.#version.picture;
    const seen = size && this.#stage.seenOf(size);
    const box = seen ? [seen.x, seen.y, seen.width, seen.height].join() : null;
    const told = `${this.#version.jobId} ${box}`;
    if (told === this.#told) return;
    this.#told = told;
    api.look(this.#version.jobId, box).catch(() => {}); // without it, there is just less to see
  }

  async #fetch(version, before, tile) {
    this.#wanted.add(tile.url);
    try {
      const bitmap = await createImageBitmap(await api.fetchTile(tile.url));
      if (version !== this.#version || version.isOver) return bitmap.close();
      this.layer ??= new Growing(before, { width: tile.result_width, height: tile.result_height });
      this.layer.add(tile, bitmap);
      this.#onTile();
    } catch {
      // The job is over: its result comes.
    }
  }
}
