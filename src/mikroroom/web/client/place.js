/**
 * @import { JoinRequest, ParticipantJoinedMessage, WaitingRoomMessage } from "./messages.js"
 *
 * How to enter a room. `isHost` makes it if there is none, with `password` and `maxParticipants`. `name` may be left
 * out where a token or the site brings one.
 * @typedef {{roomId: string, name?: string, password?: string, isHost?: boolean, creatorToken?: string,
 *   token?: string, maxParticipants?: number}} Entry
 *
 * @typedef {Omit<JoinRequest, "type">} Join
 *
 * One's own answer to a `join`.
 * @typedef {ParticipantJoinedMessage | WaitingRoomMessage} Own
 */
import { Outbox } from "./outbox.js";

/** One's place in a room, which the server keeps when the connection is lost (rules R40 to R47). */
export class Place {
  /** @type {string[]} The newest first. The one before it is kept: a server that crashed may not know the newest. */
  tokens = [];
  outbox = new Outbox();
  #heard = 0;

  /**
   * @param {Entry} entry how it was got, and is to be got again when it is lost
   * @param {Own} own
   * @param {string[]} [tokens] of a former page, the one first with which it was got
   */
  constructor(entry, own, tokens = []) {
    this.entry = entry;
    this.tokens = tokens;
    this.take(own);
  }

  /**
   * It is one's own, from the number in `own` on.
   *
   * @param {Own} own
   */
  take(own) {
    if (own.resumeToken) this.tokens = [own.resumeToken, ...this.tokens.slice(0, 1)];
    if ("creatorToken" in own && own.creatorToken) this.entry = { ...this.entry, creatorToken: own.creatorToken };
    this.#heard = Math.max(this.#heard, own.seq ?? 0);
  }

  /**
   * How to get it back: with a token, or afresh when none is good.
   *
   * @returns {Join}
   */
  request() {
    if (!this.tokens.length) return { ...this.entry, resume: true };
    return { roomId: this.entry.roomId, resumeToken: this.tokens[0], lastSeq: this.#heard };
  }

  /**
   * Whether the message with this number is new: "new", "old", or "gap" if one is missing before it.
   *
   * @param {number} seq
   */
  hear(seq) {
    if (seq > this.#heard + 1) return "gap";
    const isNew = seq > this.#heard;
    this.#heard = Math.max(seq, this.#heard);
    return isNew ? "new" : "old";
  }
}
