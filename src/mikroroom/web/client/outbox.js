import { QueueFullError } from "./errors.js";

/** How many messages, and of how many characters in all, may wait or be kept to be sent again. */
const MESSAGES = 256;
const SIZE = 1_048_576;

/**
 * What was said, under the numbers 1, 2, 3, …, until it is known or sure enough to have arrived (rule R47).
 *
 * A page cannot ask the server what has come. So it keeps the last ones that it sent, and a returning connection says
 * from which number on they are needed again.
 */
export class Outbox {
  /** @type {Record<string, unknown>[]} */
  #kept = [];
  /** Numbers of the last one that is no longer kept, and of the last one sent. */
  #dropped = 0;
  #sent = 0;

  /**
   * Take in a message.
   *
   * @param {Record<string, unknown>} message
   * @param {boolean} isAway whether it cannot be sent now. Only then there is a limit to what waits.
   */
  put(message, isAway) {
    if (isAway) {
      const { waiting } = this;
      if (waiting.length >= MESSAGES || sizeOf(waiting) + sizeOf([message]) > SIZE) throw new QueueFullError();
    }
    this.#kept.push(message);
  }

  /** What is still to be sent, or to be sent again. */
  get waiting() {
    return this.#kept.slice(this.#sent - this.#dropped);
  }

  /** The next one to be sent, with its number; null if there is none. */
  take() {
    const message = this.#kept[this.#sent - this.#dropped];
    if (!message) return null;
    this.#sent += 1;
    while (this.#sent - this.#dropped > MESSAGES) this.#drop();
    return { ...message, clientSeq: this.#sent };
  }

  /** On a new connection: the server has those up to `number`, and the others are to be sent again. */
  rewind(/** @type {number} */ number) {
    while (this.#dropped < Math.min(number, this.#sent)) this.#drop();
    // A page that was loaded anew goes on from what the page before it has said.
    if (this.#sent < number) this.#dropped = number;
    this.#sent = this.#dropped;
  }

  /** A new one, numbered anew, with what was never sent. */
  unsent() {
    const rest = new Outbox();
    rest.#kept = this.waiting;
    return rest;
  }

  #drop() {
    this.#kept.shift();
    this.#dropped += 1;
  }
}

/** @param {unknown[]} messages */
function sizeOf(messages) {
  return JSON.stringify(messages).length;
}
