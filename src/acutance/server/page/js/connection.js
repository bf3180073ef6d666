/** Whether the server answers. While it does not, the page says so, asks again, and what waits goes on by itself. */
import { isAlive, Refusal, Unreachable } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/** For a server that is busy and does not say how long, and at most. */
const BUSY_WAIT_S = 3;
const LONGEST_BUSY_S = 30;

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

/** Wait where waiting helps: for a server that is gone, or busy (then `onBusy` is called). Say whether it does. */
export async function passes(error, onBusy = () => {}) {
  if (error instanceof Unreachable) {
    await serverBack();
    return true;
  }
  if (!(error instanceof Refusal) || ![429, 503].includes(error.status)) return false;
  onBusy();
  await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(LONGEST_BUSY_S, error.retryAfterS ?? BUSY_WAIT_S)));
  return true;
}

/** Do something, again and again where waiting helps, unless it `isOver`; return what comes of it. */
export async function persist(work, isOver = () => false) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isOver() || !(await passes(error))) throw error;
    }
  }
}

async function askUntilAlive() {
  for (const listener of listeners) listener(true);
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(LONGEST_WAIT_MS, wait * 1.5)) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (await isAlive()) return;
  }
}
