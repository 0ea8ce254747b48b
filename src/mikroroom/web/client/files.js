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

/** @typedef {{name: string, size: number, type: string}} FileInfo */

/**
 * `state` is "offered", "moving", "done", or "failed", which is also what a declined one comes to; `moved` counts bytes.
 *
 * @typedef {"offered" | "moving" | "done" | "failed"} TransferState
 * @typedef {{change: undefined}} TransferEvents
 */

/** @extends {Emitter<TransferEvents>} */
class Transfer extends Emitter {
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
}

/** A file that is offered to one participant, and sent if that one accepts it. */
export class OutgoingFile extends Transfer {
  #file;

  /**
   * @param {RTCDataChannel} channel
   * @param {File} file
   */
  constructor(channel, file) {
    super(channel, { name: file.name, size: file.size, type: file.type });
    this.#file = file;
    channel.bufferedAmountLowThreshold = AHEAD / 2;
    const offer = () => channel.send(JSON.stringify(this.info));
    if (channel.readyState === "open") offer();
    else channel.onopen = offer;
    channel.onmessage = ({ data }) => {
      if (data === ACCEPT && this.state === "offered") void this.#send().catch(() => this.fail());
      else if (data === DONE && this.moved === file.size) this.become("done");
    };
  }

  async #send() {
    this.become("moving");
    while (this.moved < this.#file.size && this.state === "moving") {
      const piece = await this.#file.slice(this.moved, this.moved + CHUNK).arrayBuffer();
      this.channel.send(piece);
      this.moved += piece.byteLength;
      this.emit("change", undefined);
      if (this.channel.bufferedAmount > AHEAD) await this.#drained();
    }
  }

  #drained() {
    return new Promise((resolve) => {
      this.channel.addEventListener("bufferedamountlow", resolve, { once: true });
      this.channel.addEventListener("close", resolve, { once: true });
    });
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
    this.channel.send(ACCEPT);
    if (!this.info.size) this.#finish();
  }

  decline() {
    this.fail();
  }

  /** @param {ArrayBuffer} piece */
  #take(piece) {
    if (this.state !== "moving" || !(piece instanceof ArrayBuffer) || this.moved + piece.byteLength > this.info.size) {
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
    this.#stow();
    // Never a type that a browser would show or run: it is to be saved.
    this.blob = new Blob(this.#parts, { type: "application/octet-stream" });
    this.#parts = [];
    this.channel.send(DONE);
    this.become("done");
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
    return isFile ? { name: name.slice(0, 255), size, type: String(type ?? "") } : null;
  } catch {
    return null;
  }
}
