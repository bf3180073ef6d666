/** The history of this visit: every result, to see or save it again, or to forget it. */
import { byId, dialogOf, iconButton, make } from "./dom.js";
import { number, percent, text, timeText } from "./language.js";
import { modelTitle } from "./words.js";

export class History {
  #dialog = dialogOf("history");
  #list = byId("history-list");
  #shown = "";
  #acts;

  /** `acts`: `{onShow, onSave, onForget, onClear}`. */
  constructor(acts) {
    this.#acts = acts;
    byId("history-open").addEventListener("click", () => this.#dialog.showModal());
    byId("history-clear").addEventListener("click", () => {
      acts.onClear();
      this.#dialog.close();
    });
  }

  render(album) {
    byId("history-open").hidden = album.history.length === 0;
    byId("history-count").textContent = number(album.history.length);
    // Made anew only when something in it is another: its buttons keep the focus otherwise.
    const state = document.documentElement.lang + album.history.map((version) => version.key + (version.picture.thumb ?? "")).join();
    if (state === this.#shown) return;
    this.#shown = state;
    const items = album.history.map((version) => this.#item(version));
    this.#list.replaceChildren(...(items.length ? items : [make("li", { class: "help" }, text("history.empty"))]));
  }

  #item(version) {
    const { picture } = version;
    const { name } = picture;
    const facts = text("history.facts", { model: runWords(version), time: timeText(version.finishedAt) });
    const show = () => {
      this.#dialog.close();
      this.#acts.onShow(version);
    };
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "history-show", "aria-label": `${text("history.show", { name })}, ${facts}`, onclick: show },
        picture.thumb ? make("img", { src: picture.thumb, alt: "" }) : make("span", { class: "no-thumb" }),
        make("span", { class: "history-words" }, make("strong", {}, name), make("span", {}, facts)),
      ),
      iconButton("save", text("history.save", { name }), () => this.#acts.onSave(version)),
      iconButton("close", text("history.remove", { name }), () => this.#acts.onForget(version)),
    );
  }
}

/** Say how a version was made: the model, and what of its run is not as usual. */
function runWords({ model, fidelity, ensemble }) {
  let words = modelTitle(model);
  if (fidelity !== 1) words = text("history.fidelity", { model: words, percent: percent(fidelity) });
  return ensemble === 1 ? words : text("history.ensemble", { model: words, count: ensemble });
}
