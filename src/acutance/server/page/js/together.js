/** Several photos at once: how far they are together, how long it takes still, and an end to all of it. */
import { byId } from "./dom.js";
import { durationText, number, text } from "./language.js";

export class Together {
  #batch;

  constructor(batch, { onCancel }) {
    this.#batch = batch;
    byId("together-cancel").addEventListener("click", onCancel);
  }

  render() {
    const { isGoingOn, count, done, share, secondsLeft } = this.#batch;
    const hadFocus = document.activeElement === byId("together-cancel");
    byId("together").hidden = !isGoingOn || count < 2;
    if (byId("together").hidden) {
      if (hadFocus) byId("stage").focus({ preventScroll: true });
      return;
    }
    byId("together-progress").value = share;
    const numbers = { done: number(done), count: number(count) };
    const words = secondsLeft === null ? text("together", numbers) : text("together.left", { ...numbers, left: durationText(secondsLeft) });
    byId("together-words").textContent = words;
    byId("together-progress").setAttribute("aria-label", words);
  }
}
