import { Emitter } from "./emitter.js";

/**
 * A file on its way to one participant, over a data channel of its own: first what it is, as JSON; then, once it was
 * accepted, its bytes; and at last the word that all have come.
 */

const CHUNK = 65_536;
/** How much may wait in the channel, in bytes, before more is read from the file. */
const AHEAD = 1_048_576;
/** So many bytes are handed to the browser at once, which may keep them on disk. */
const PART = 16_777_216;

const ACCEPT = "accept";
const DONE = "done";

/** What makes a name look like another one: control characters, and those that turn the direction of writing. */
const DECEITFUL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;
const NAME = 255;
const TYPE = 127;

/** @typedef {{name: string, size: number, type: string}} FileInfo */

/**
 * `state` is "offered", "moving", "done", or "failed", which is also what a declined one comes to; `moved` counts bytes.
 *
 * @typedef {"offered" | "moving" | "done" | "failed"} TransferState
 * @typedef {{change: undefined}} TransferEvents
 */

/** @extends {Emitter<TransferEvents>} */
export class Transfer extends Emitter {
  /** @type {TransferState} */
  state = "offered";
  moved = 0;

  /**
   * @param {RTCDataChannel} channel
   * @param {FileInfo} info
   */
  constructor(channel, info) {
    super();
    this.channel = channel;
    this.info = info;
    channel.binaryType = "arraybuffer";
    channel.onclose = () => this.fail();
    channel.onerror = () => this.fail();
  }

  /** It comes to nothing: declined, broken off, or the other is gone. */
  fail() {
    if (this.state === "done") return;
    this.become("failed");
    this.channel.close();
  }

  /** @param {TransferState} state */
  become(state) {
    if (this.state === "failed") return;
    this.state = state;
    this.emit("change", undefined);
  }

  /** Say something to the other side; if it is gone, the transfer has failed. @param {string | ArrayBuffer} data */
  say(data) {
    if (this.channel.readyState === "open") this.channel.send(/** @type {string} */ (data));
    else this.fail();
  }
}

/** A file that is offered to one participant, and sent if that one accepts it. */
export class OutgoingFile extends Transfer {
  #file;
  /** @type {(() => void) | null} */
  #goOn = null;

  /**
   * @param {RTCDataChannel} channel
   * @param {File} file
   */
  constructor(channel, file) {
    super(channel, { name: file.name, size: file.size, type: file.type });
    this.#file = file;
    channel.bufferedAmountLowThreshold = AHEAD / 2;
    const offer = () => this.say(JSON.stringify(this.info));
    if (channel.readyState === "open") offer();
    else channel.onopen = offer;
    channel.onmessage = ({ data }) => {
      if (data === ACCEPT && this.state === "offered") void this.#send().catch(() => this.fail());
      else if (data === DONE && this.moved === file.size) this.#finish();
    };
  }

  fail() {
    super.fail();
    this.#goOn?.();
  }

  async #send() {
    this.become("moving");
    while (this.moved < this.#file.size && this.state === "moving") {
      const piece = await this.#file.slice(this.moved, this.moved + CHUNK).arrayBuffer();
      this.say(piece);
      if (this.state !== "moving") return;
      this.moved += piece.byteLength;
      this.emit("change", undefined);
      if (this.channel.bufferedAmount > AHEAD) await this.#drained();
    }
  }

  #drained() {
    return new Promise((resolve) => {
      this.#goOn = this.channel.onbufferedamountlow = () => resolve(undefined);
    });
  }

  /** The other has all of it, and waits for the next one. */
  #finish() {
    this.become("done");
    this.channel.close();
  }
}

/** A file that somebody offers. Nothing of it comes before it is accepted. */
export class IncomingFile extends Transfer {
  /** @type {Blob | null} The file, once it is done. */
  blob = null;
  /** @type {ArrayBuffer[]} */
  #pieces = [];
  /** @type {Blob[]} */
  #parts = [];
  #held = 0;

  /**
   * @param {RTCDataChannel} channel
   * @param {FileInfo} info
   */
  constructor(channel, info) {
    super(channel, info);
    channel.onmessage = ({ data }) => this.#take(data);
  }

  accept() {
    if (this.state !== "offered") return;
    this.become("moving");
    this.say(ACCEPT);
    if (!this.info.size) this.#finish();
  }

  decline() {
    this.fail();
  }

  /** @param {ArrayBuffer} piece */
  #take(piece) {
    const isPiece = piece instanceof ArrayBuffer && piece.byteLength > 0;
    if (this.state !== "moving" || !isPiece || this.moved + piece.byteLength > this.info.size) {
      // Not what was offered.
      this.fail();
      return;
    }
    this.#pieces.push(piece);
    this.moved += piece.byteLength;
    this.#held += piece.byteLength;
    if (this.#held > PART) this.#stow();
    if (this.moved === this.info.size) this.#finish();
    else this.emit("change", undefined);
  }

  #stow() {
    this.#parts.push(new Blob(this.#pieces));
    this.#pieces = [];
    this.#held = 0;
  }

  #finish() {
    if (this.state !== "moving") return;
    this.#stow();
    // Never a type that a browser would show or run: it is to be saved.
    this.blob = new Blob(this.#parts, { type: "application/octet-stream" });
    this.#parts = [];
    this.become("done");
    // It is here, whether the other still wants to know or not.
    this.say(DONE);
  }
}

/**
 * What somebody offers over a new channel, once it has said so; null for what is no file.
 *
 * @param {RTCDataChannel} channel
 * @returns {Promise<IncomingFile | null>}
 */
export function incomingFile(channel) {
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      const info = infoOf(data);
      if (!info) channel.close();
      resolve(info && new IncomingFile(channel, info));
    };
  });
}

/** @param {unknown} data @returns {FileInfo | null} */
function infoOf(data) {
  try {
    const { name, size, type } = JSON.parse(String(data));
    const isFile = typeof name === "string" && name && Number.isSafeInteger(size) && size >= 0;
    return isFile ? { name: plainName(name), size, type: typeof type === "string" ? type.slice(0, TYPE) : "" } : null;
  } catch {
    return null;
  }
}

/** A name that says what it is, and nowhere else to put it. @param {string} name */
function plainName(name) {
  const plain = (name.split(/[/\\]/).at(-1) ?? "").replace(DECEITFUL, "").trim();
  // Too long a name keeps its beginning and, because it tells the kind, its end.
  const letters = [...plain];
  const short = letters.length > NAME ? [...letters.slice(0, NAME - 16), ...letters.slice(-16)].join("") : plain;
  return /^\.*$/.test(short) ? "file" : short;
}
