/** @import { Message, ModeratorActionRequest, Request } from "./messages.js" */
/** @import { Entry, Own } from "./place.js" */
import { Backoff } from "./backoff.js";
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { ClosedError, RefusedError } from "./errors.js";
import { Place } from "./place.js";

/** What the server relays at most, in bytes. A larger message would close the connection, each time it is sent again. */
const MESSAGE_BYTES = 262_144;
/** Milliseconds. A timer that comes later than this has slept with its machine, and so has the connection. */
const ASLEEP = 90_000;
const TICK = 10_000;
/** Between two tries while the browser sees no network; it may be wrong where the server is on the same machine. */
const OFFLINE = 10_000;
/** How often a room that is gone is asked for afresh: whoever makes it again may come later than oneself. */
const MISSING_TRIES = 4;

const PASSING = new Set(["RATE_LIMITED", "SERVER_ERROR"]);
/** What only the client itself tells. */
const OWN = new Set(["message", "suspended", "resumed", "rejoined", "place", "closed"]);

/**
 * Each message of the server under its `type`, and all of them under `message`. Besides:
 *
 * - `suspended`: the connection is lost; what is said meanwhile waits.
 * - `resumed`: it is there again, and so is one's place. Not `replayed`: all there is to know follows, as to a newcomer.
 * - `rejoined`: it is there again, but the place was gone; a new one was taken, with another id.
 * - `place`: how to come back has changed (`Signaling.ticket`).
 * - `closed`: it is over; the error says why.
 *
 * @typedef {{[Type in Message["type"]]: Message & {type: Type}} & {message: Message, suspended: ClosedError,
 *   resumed: {replayed: boolean}, rejoined: Own, place: Ticket | null, closed: ClosedError | RefusedError}} SignalingEvents
 *
 * What a page keeps to come back with after it was loaded anew.
 * @typedef {{roomId: string, name: string, resumeTokens: string[], creatorToken?: string}} Ticket
 */

/**
 * A participant, and what it may say to the server.
 *
 * It comes back by itself when its connection is lost, as docs/protocol.md tells: nothing is heard twice, nothing is
 * missed unless `resumed` says so, what is said meanwhile waits, and what may not have arrived is sent again.
 *
 * @extends {Emitter<SignalingEvents>}
 */
export class Signaling extends Emitter {
  /** One's participant id, once joined or waiting. */
  id = "";
  #url;
  #backoff;
  /** @type {Connection | null} */
  #connection = null;
  /** @type {Place | null} */
  #place = null;
  #since = 0;
  /** @type {symbol | null} The `join` that is under way. */
  #attempt = null;
  /** @type {AbortController | null} Ends the watch over the network. */
  #watch = null;

  /**
   * @param {string | URL} url as in `wss://meet.example.org/ws`
   * @param {{backoff?: Backoff}} options
   */
  constructor(url, { backoff = new Backoff() } = {}) {
    super();
    this.#url = String(url);
    this.#backoff = backoff;
  }

  /** Whether there is a place, and the connection to it is lost. */
  get isAway() {
    return this.#place !== null && !this.#connection?.isOpen;
  }

  /** What was said and is still to be sent, or to be sent again. @returns {Record<string, unknown>[]} */
  get unsent() {
    return this.#place?.outbox.waiting ?? [];
  }

  /** @returns {Ticket | null} */
  get ticket() {
    if (!this.#place) return null;
    const { roomId, name = "", creatorToken } = this.#place.entry;
    return { roomId, name, resumeTokens: this.#place.tokens, creatorToken };
  }

  /**
   * Enter a room, or with `isHost` make it. Gives one's own `participant-joined` or `waiting-room`.
   *
   * With `resumeTokens` out of a `Ticket` one is the same participant as before the page was loaded anew, if the server
   * still keeps the place; else one joins afresh.
   *
   * Throws a `RefusedError` where the server says no, after which one may ask again; and a `ClosedError` where it cannot
   * be reached.
   *
   * @param {Entry & {resumeTokens?: string[]}} how
   * @returns {Promise<Own>}
   */
  async join({ resumeTokens = [], ...entry }) {
    if (this.#place || this.#attempt) throw new RefusedError({ code: "ALREADY_JOINED", message: "Leave first" });
    const attempt = (this.#attempt = Symbol("join"));
    let connection = this.#connection;
    try {
      if (!connection?.isOpen) {
        connection = await Connection.open(this.#url);
        if (this.#attempt !== attempt) throw new ClosedError(1000, "Left meanwhile");
        this.#connection = connection;
      }
      const tokens = [...resumeTokens];
      const former = await this.#again(connection, entry.roomId, tokens);
      const own = former ?? (await connection.ask({ ...entry, resume: true }));
      if (this.#attempt !== attempt) throw new ClosedError(1000, "Left meanwhile");
      this.#settle(connection, new Place(entry, own, tokens), own);
      return own;
    } catch (error) {
      // Whoever was not answered may have been let in all the same.
      if (!(error instanceof RefusedError)) connection?.leave();
      throw error;
    } finally {
      if (this.#attempt === attempt) this.#attempt = null;
    }
  }

  /** Leave the room for good, and close the connection. */
  leave() {
    this.#connection?.leave();
    this.#forget();
  }

  /**
   * Say something; or keep it, while the connection is lost.
   *
   * Throws a `ClosedError` outside a room, a `QueueFullError` where too much waits, a `RangeError` for what is too big.
   *
   * @param {Request} request
   */
  send(request) {
    if (!this.#place) throw new ClosedError(1000, "Join a room first");
    const { roomId } = this.#place.entry;
    const message = { ...request, roomId, participantId: this.id, timestamp: Date.now() };
    const size = new TextEncoder().encode(JSON.stringify(message)).length;
    if (size > MESSAGE_BYTES - 64) throw new RangeError(`A message may have ${MESSAGE_BYTES} bytes; this one has ${size}`);
    this.#place.outbox.put(message, this.isAway);
    this.#flush();
  }

  /** Drop the connection, which may be dead without a word, and come back on a new one. */
  renew() {
    if (!this.#place || !this.#connection) return;
    this.#connection.close();
    this.#lose(new ClosedError(1006, "The network was lost"));
  }

  /**
   * @param {string} text @param {string} [replyTo] the `messageId` that it answers
   * @param {string} [targetId] for whom alone it is; empty for everyone
   */
  chat(text, replyTo, targetId) {
    this.send({ type: "chat", text, ...(replyTo ? { replyTo } : {}), ...(targetId ? { targetId } : {}) });
  }

  /** Take a message back: one's own, or as a moderator anybody's. @param {string} messageId */
  deleteMessage(messageId) {
    this.send({ type: "delete-message", messageId });
  }

  /** @param {{isMuted?: boolean, isVideoOff?: boolean, isHandRaised?: boolean}} state */
  updateState(state) {
    this.send({ type: "participant-updated", ...state });
  }

  raiseHand() {
    this.send({ type: "raise-hand" });
  }

  lowerHand() {
    this.send({ type: "lower-hand" });
  }

  lock() {
    this.send({ type: "room-locked" });
  }

  unlock() {
    this.send({ type: "room-unlocked" });
  }

  /** @param {string} targetId */
  admit(targetId) {
    this.send({ type: "admit-user", targetId });
  }

  /** @param {string} targetId @param {string} [reason] */
  reject(targetId, reason) {
    this.send({ type: "reject-user", targetId, ...(reason ? { reason } : {}) });
  }

  /** @param {string} targetId @param {ModeratorActionRequest["action"]} action */
  moderate(targetId, action) {
    this.send({ type: "moderator-action", targetId, action });
  }

  /** Tell the room that this client records. The recording itself is the page's. */
  startRecording() {
    this.send({ type: "recording-started" });
  }

  stopRecording() {
    this.send({ type: "recording-stopped" });
  }

  /** @param {string} targetId @param {string} quality */
  changeQuality(targetId, quality) {
    this.send({ type: "quality-change", targetId, quality });
  }

  /**
   * Offer a file by way of the server, for clients without a data channel. `Peers.sendFile` needs none of this.
   *
   * @param {string} targetId @param {{name: string, size: number, type: string}} file
   */
  offerFile(targetId, { name, size, type }) {
    this.send({ type: "file-offer", targetId, fileName: name, fileSize: size, fileType: type });
  }

  /** @param {string} targetId @param {boolean} accepted */
  answerFile(targetId, accepted) {
    this.send({ type: "file-answer", targetId, accepted });
  }

  /** @param {string} targetId @param {{chunk: string, index: number, total: number}} piece */
  sendFileChunk(targetId, piece) {
    this.send({ type: "file-chunk", targetId, ...piece });
  }

  /**
   * The place that a former page had, if one of its tokens is still good. Those that are not are taken out.
   *
   * @param {Connection} connection @param {string} roomId @param {string[]} tokens
   * @returns {Promise<Own | null>}
   */
  async #again(connection, roomId, tokens) {
    while (tokens.length) {
      try {
        return await connection.ask({ roomId, resumeToken: tokens[0], restart: true });
      } catch (error) {
        if (!(error instanceof RefusedError && error.code === "RESUME_FAILED")) throw error;
        tokens.shift();
      }
    }
    return null;
  }

  /** @param {Connection} connection @param {Place} place @param {Own} own */
  #settle(connection, place, own) {
    this.#connection = connection;
    this.#place = place;
    this.#since = Date.now();
    this.id = own.participantId;
    this.#watch ??= watchNetwork(
      () => this.renew(),
      () => this.#backoff.hurry(),
    );
    place.outbox.rewind(own.lastClientSeq ?? 0);
    this.emit("place", this.ticket);
    this.#tell(own);
    // Whoever was told may have left.
    if (this.#connection !== connection) return;
    connection.listen(
      (message) => this.#hear(message),
      (lost) => this.#lose(lost),
    );
    this.#flush();
  }

  /** @param {Message} message */
  #hear(message) {
    const news = message.seq === undefined ? "new" : this.#place?.hear(message.seq);
    if (news === "gap") this.renew();
    else if (news === "new") this.#tell(message);
  }

  /** @param {Message} message */
  #tell(message) {
    this.emit("message", message);
    // Each type goes with its own message, which the compiler cannot follow.
    if (!OWN.has(message.type)) this.emit(message.type, /** @type {any} */ (message));
  }

  #flush() {
    while (this.#place && this.#connection?.isOpen) {
      const message = this.#place.outbox.take();
      if (!message) return;
      this.#connection.send(message);
    }
  }

  /** @param {ClosedError} lost */
  #lose(lost) {
    this.#connection = null;
    const place = this.#place;
    if (!place) return;
    if (lost.isFinal) {
      this.#end(lost);
      return;
    }
    // A connection that is lost at once is no success: others would be tried without end.
    if (Date.now() - this.#since > this.#backoff.most * 1000) this.#backoff.reset();
    this.emit("suspended", lost);
    void this.#comeBack(place);
  }

  /** @param {Place} place */
  async #comeBack(place) {
    // At least once: whoever leaves meanwhile comes back to say so.
    do {
      await this.#backoff.wait();
      if (!navigator.onLine) await onlineWithin(OFFLINE);
      /** @type {Connection | null} */
      let connection = null;
      try {
        connection = await Connection.open(this.#url);
        const own = await this.#enter(connection, place);
        if (this.#place === place) {
          this.#return(connection, place, own);
          return;
        }
        connection.leave();
      } catch (error) {
        const isOver = error instanceof RefusedError || (error instanceof ClosedError && error.isFinal);
        if (isOver && this.#place === place) this.#end(error);
      }
      connection?.close();
    } while (this.#place === place);
  }

  /**
   * Ask for the place until it is given.
   *
   * @param {Connection} connection @param {Place} place
   * @returns {Promise<Own>}
   */
  async #enter(connection, place) {
    for (let missing = 0; ; ) {
      const request = place.request();
      try {
        return await connection.ask(request);
      } catch (error) {
        if (!(error instanceof RefusedError) || this.#place !== place) throw error;
        if (request.resumeToken && error.code === "RESUME_FAILED") {
          place.tokens.shift();
          continue;
        }
        if (error.code === "ROOM_NOT_FOUND") missing += 1;
        else if (!PASSING.has(error.code)) throw error;
        if (missing > MISSING_TRIES) throw error;
        await this.#backoff.wait();
      }
    }
  }

  /** @param {Connection} connection @param {Place} place @param {Own} own */
  #return(connection, place, own) {
    if (own.resumed) {
      place.take(own);
      this.emit("resumed", { replayed: Boolean(own.replayed) });
    } else {
      const next = new Place(place.entry, own);
      next.outbox = place.outbox.unsent();
      this.#place = place = next;
      this.id = own.participantId;
      this.emit("rejoined", own);
    }
    // Whoever was told may have left.
    if (this.#place === place) this.#settle(connection, place, own);
    else connection.leave();
  }

  /** @param {ClosedError | RefusedError} why */
  #end(why) {
    this.#forget();
    this.emit("closed", why);
  }

  #forget() {
    this.#connection?.close();
    this.#watch?.abort();
    this.#connection = this.#place = this.#watch = this.#attempt = null;
    this.id = "";
    this.#backoff.hurry();
    this.emit("place", null);
  }
}

/**
 * Notice what a WebSocket does not: that the network is gone, or that the machine has slept.
 *
 * @param {() => void} isLost @param {() => void} isBack
 */
function watchNetwork(isLost, isBack) {
  const watch = new AbortController();
  const { signal } = watch;
  let last = Date.now();
  const timer = setInterval(() => {
    const slept = Date.now() - last;
    last = Date.now();
    if (slept > ASLEEP) isLost();
  }, TICK);
  signal.addEventListener("abort", () => clearInterval(timer));
  addEventListener("offline", isLost, { signal });
  addEventListener("online", isBack, { signal });
  return watch;
}

/** Wait until the network is there again, but no longer than so many milliseconds. @param {number} most */
function onlineWithin(most) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, most);
    addEventListener("online", () => (clearTimeout(timer), resolve(undefined)), { once: true });
  });
}
