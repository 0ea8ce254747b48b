/** @import { Room } from "../client/room.js" */
import { find, part, show, write } from "./dom.js";

const ALL = "Everyone";

/** For whom what is written is meant: for everyone, or for one person alone. */
export class Recipients {
  #form = part(document, "[data-say]");
  #row = part(this.#form, "[data-to]");
  #select = find(this.#row, "select", HTMLSelectElement);
  #text = find(this.#form, "[name=text]", HTMLTextAreaElement);
  #room;
  /** @type {Map<string, HTMLOptionElement>} By id; everyone's is empty. */
  #options = new Map([["", new Option(ALL, "")]]);

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    this.#select.replaceChildren(...this.#options.values());
    this.#select.onchange = () => this.#show();
    room.on("change", () => this.#show());
    this.#show();
  }

  /** The id of the one person who is meant; empty for everyone. */
  get chosen() {
    return this.#select.value;
  }

  /** Whether whoever was chosen has gone. It stays chosen: what was meant for one must not go to all. */
  get isGone() {
    return this.chosen !== "" && !this.#room.participants.has(this.chosen);
  }

  /** The name of who is chosen. */
  get name() {
    return this.#options.get(this.chosen)?.dataset.name ?? ALL;
  }

  /** Mean this person, if it is here. @param {string} id */
  choose(id) {
    if (!this.#options.has(id)) return;
    this.#select.value = id;
    this.#show();
  }

  #show() {
    const { participants } = this.#room;
    for (const [id, option] of this.#options) {
      if (!id || participants.has(id)) continue;
      if (id === this.chosen) {
        write(option, `${option.dataset.name} (has left)`);
        continue;
      }
      option.remove();
      this.#options.delete(id);
    }
    for (const { id, name } of participants.values()) {
      const option = this.#options.get(id) ?? new Option(name, id);
      option.dataset.name = name;
      write(option, name);
      if (this.#options.get(id)) continue;
      this.#options.set(id, option);
      this.#select.append(option);
    }
    show(this.#row, this.#options.size > 1);
    this.#form.classList.toggle("private", this.chosen !== "");
    this.#text.placeholder = this.chosen ? `Write to ${this.name} alone` : "Write to everyone";
  }
}
