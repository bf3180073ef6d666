/** The strip: every picture that is open, and how far it is. */
import { byId, icon, iconButton, make } from "./dom.js";
import { text } from "./language.js";

export class Strip {
  #list = byId("strip");
  #items = new Map();
  #onShow;
  #onRemove;

  constructor({ onShow, onRemove }) {
    this.#onShow = onShow;
    this.#onRemove = onRemove;
  }

  render(album) {
    for (const [picture, item] of this.#items) {
      if (album.pictures.includes(picture)) continue;
      const hadFocus = item.node.contains(document.activeElement);
      item.node.remove();
      this.#items.delete(picture);
      if (hadFocus) (this.#items.get(album.current)?.button ?? byId("choose")).focus();
    }
    for (const picture of album.pictures) {
      const item = this.#items.get(picture) ?? this.#made(picture);
      this.#fill(item, picture, picture === album.current);
    }
  }

  #made(picture) {
    const image = make("img", { alt: "", draggable: "false" });
    const badge = make("span", { class: "badge" });
    const bar = make("span", { class: "thumb-bar" });
    const button = make("button", { type: "button", class: "thumb", onclick: () => this.#onShow(picture) }, icon("image"), image, bar, badge);
    const remove = iconButton("close", "", () => this.#onRemove(picture), "thumb-remove");
    const item = { node: make("li", {}, button, remove), button, image, badge, bar, remove, state: null, thumb: null };
    this.#items.set(picture, item);
    this.#list.append(item.node);
    return item;
  }

  #fill(item, picture, isCurrent) {
    const version = picture.version;
    const state = version?.state ?? "waiting";
    if (item.thumb !== picture.thumb) {
      item.thumb = picture.thumb;
      item.image.src = picture.thumb;
      item.button.classList.add("has-image");
    }
    const words = text("picture.show", { name: picture.name, state: text(`state.${state}`) });
    item.button.setAttribute("aria-label", words);
    item.button.title = picture.name;
    item.remove.setAttribute("aria-label", text("picture.removeName", { name: picture.name }));
    item.remove.title = text("picture.remove");
    item.button.dataset.state = state;
    item.bar.style.setProperty("--share", state === "done" ? 1 : (version?.progress ?? 0));
    if (item.state !== state) {
      item.state = state;
      item.badge.replaceChildren(...(state === "failed" ? [icon("warn")] : state === "done" ? [icon("check")] : []));
    }
    if (isCurrent !== item.isCurrent) {
      item.isCurrent = isCurrent;
      if (isCurrent) {
        item.button.setAttribute("aria-current", "true");
        item.node.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else {
        item.button.removeAttribute("aria-current");
      }
    }
  }
}
