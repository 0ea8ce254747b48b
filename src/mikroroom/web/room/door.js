/** @import { Room } from "../client/room.js" */
/** @import { Signaling } from "../client/signaling.js" */
import { button, copy, name, part, show, write } from "./dom.js";

/** Those who wait to come in, before the eyes of every moderator. */
export class Door {
  #root = part(document, "[data-door]");
  #list = part(this.#root, "[data-waiting]");
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  #signaling;
  #room;

  /**
   * @param {Signaling} signaling
   * @param {Room} room
   */
  constructor(signaling, room) {
    this.#signaling = signaling;
    this.#room = room;
    this.#list.replaceChildren();
    const all = button(this.#root, "[data-admit-all]");
    all.onclick = () => {
      for (const id of room.waiting.keys()) signaling.admit(id);
    };
    room.on("change", () => {
      this.#show();
      show(all, room.waiting.size > 1);
    });
    show(this.#root, false);
  }

  #show() {
    const { waiting } = this.#room;
    for (const [id, row] of this.#rows) {
      if (waiting.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const [id, who] of waiting) if (!this.#rows.has(id)) this.#add(id, who);
    show(this.#root, waiting.size > 0);
  }

  /** @param {string} id @param {string} who */
  #add(id, who) {
    const row = copy("waiting-template");
    write(part(row, "[data-name]"), who);
    const admit = button(row, "[data-admit]");
    name(admit, `Admit ${who}`);
    admit.onclick = () => this.#signaling.admit(id);
    const reject = button(row, "[data-reject]");
    name(reject, `Reject ${who}`);
    reject.onclick = () => this.#signaling.reject(id);
    this.#rows.set(id, row);
    this.#list.append(row);
  }
}
