/** @import { Room } from "../client/room.js" */
/** @import { Signaling } from "../client/signaling.js" */
import { Rows, button, copy, name, part, show, write } from "./dom.js";

/** Those who wait to come in, before the eyes of every moderator. */
export class Door {
  #root = part(document, "[data-door]");
  #all = button(this.#root, "[data-admit-all]");
  #rows = new Rows(part(this.#root, "[data-waiting]"));
  #signaling;
  #room;

  /**
   * @param {Signaling} signaling
   * @param {Room} room
   */
  constructor(signaling, room) {
    this.#signaling = signaling;
    this.#room = room;
    this.#all.onclick = () => {
      for (const id of room.waiting.keys()) signaling.admit(id);
    };
    room.on("change", () => this.#show());
    this.#show();
  }

  #show() {
    const { waiting } = this.#room;
    this.#rows.keep(waiting.keys(), (id) => this.#row(id, waiting.get(id) ?? ""));
    show(this.#all, waiting.size > 1);
    show(this.#root, waiting.size > 0);
  }

  /** @param {string} id @param {string} who */
  #row(id, who) {
    const row = copy("waiting-template");
    write(part(row, "[data-name]"), who);
    const admit = button(row, "[data-admit]");
    name(admit, `Admit ${who}`);
    admit.onclick = () => this.#signaling.admit(id);
    const reject = button(row, "[data-reject]");
    name(reject, `Reject ${who}`);
    reject.onclick = () => this.#signaling.reject(id);
    return row;
  }
}
