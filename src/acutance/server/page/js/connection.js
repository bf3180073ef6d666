/** Whether the server answers. While it does not, the page says so, asks again, and what waits goes on by itself. */
import { isAlive } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

let returning = null;
const listeners = new Set();

/** Call a function with true when the server is lost, with false when it is back. */
export function onLost(listener) {
  listeners.add(listener);
}

/** Wait until the server answers. All who wait share one asking. */
export function serverBack() {
  returning ??= askUntilAlive().finally(() => {
    returning = null;
    for (const listener of listeners) listener(false);
  });
  return returning;
}

async function askUntilAlive() {
  for (const listener of listeners) listener(true);
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(LONGEST_WAIT_MS, wait * 1.5)) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (await isAlive()) return;
  }
}
