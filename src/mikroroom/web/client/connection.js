/** @import { Message } from "./messages.js" */
/** @import { Join, Own } from "./place.js" */
import { ClosedError, RefusedError } from "./errors.js";

/** Milliseconds within which a server must take the connection, and answer a `join`. */
const PATIENCE = 10_000;

/**
 * One WebSocket to the server, for as long as it lasts. What comes before somebody listens waits.
 */
export class Connection {
  #socket;
  /** @type {Message[]} */
  #unheard = [];
  /** @type {((message: Message) => void) | null} */
  #listener = null;
  /** @type {((lost: ClosedError) => void) | null} */
  #mourner = null;
  /** @type {((gone: ClosedError) => void) | null} Ends the question that is under way. */
  #abandon = null;
  /** @type {ClosedError | null} */
  #end = null;

  /** @param {WebSocket} socket an open one */
  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code, reason }) => this.#close(code, reason);
  }

  /**
   * Connect to `url`. Throws a `ClosedError` where that does not succeed.
   *
   * @param {string} url
   * @returns {Promise<Connection>}
   */
  static async open(url) {
    const socket = new WebSocket(url);
    const isOpen = await new Promise((resolve) => {
      const timer = setTimeout(resolve, PATIENCE, false);
      socket.onopen = () => resolve(true);
      socket.onclose = () => resolve(false);
      socket.addEventListener("close", () => clearTimeout(timer));
      socket.addEventListener("open", () => clearTimeout(timer));
    });
    if (isOpen) return new Connection(socket);
    // Browsers try one connection to a server after the other: the next one would wait for this.
    socket.close();
    throw new ClosedError(1006, "The server cannot be reached");
  }

  get isOpen() {
    return !this.#end && this.#socket.readyState === WebSocket.OPEN;
  }

  /** @param {object} message */
  send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  /** Say goodbye, so that no place is kept, and close. */
  leave() {
    if (this.isOpen) this.send({ type: "leave" });
    this.close();
  }

  /** No more is heard of this connection, and the server need not answer the goodbye. */
  close() {
    this.#listener = this.#mourner = null;
    this.#end ??= new ClosedError(1000, "Left meanwhile");
    this.#abandon?.(this.#end);
    this.#socket.close();
  }

  /**
   * From now on each message goes to `listener`, and the end to `mourner`.
   *
   * @param {(message: Message) => void} listener
   * @param {(lost: ClosedError) => void} mourner
   */
  listen(listener, mourner) {
    this.#listener = listener;
    this.#mourner = mourner;
    // A listener may have had enough, or close the connection.
    while (this.#listener === listener && this.#unheard.length) listener(/** @type {Message} */ (this.#unheard.shift()));
    if (this.#end) this.#mourner?.(this.#end);
  }

  /**
   * Send a `join`. Gives one's own answer.
   *
   * Throws a `RefusedError` where the server says no, and a `ClosedError` where it says nothing.
   *
   * @param {Join} join
   * @returns {Promise<Own>}
   */
  ask(join) {
    return new Promise((resolve, reject) => {
      this.#abandon = reject;
      const timer = setTimeout(() => reject(new ClosedError(1006, "The server does not answer")), PATIENCE);
      const isAnswered = (/** @type {Message} */ message) => {
        if (message.type === "participant-joined" || message.type === "waiting-room") resolve(message);
        else if (message.type === "error" && message.requestType === "join") reject(new RefusedError(message));
        else return;
        clearTimeout(timer);
        // What follows waits until the answer has been taken in.
        this.#listener = null;
      };
      this.listen(isAnswered, reject);
      if (this.isOpen) this.send({ type: "join", timestamp: Date.now(), ...join });
    });
  }

  /** @param {string} text */
  #take(text) {
    const message = messageOf(text);
    if (!message) return;
    if (this.#listener) this.#listener(message);
    else this.#unheard.push(message);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #close(code, reason) {
    if (this.#end) return;
    this.#end = new ClosedError(code, reason);
    this.#mourner?.(this.#end);
  }
}

/**
 * Null for what is none: whoever stands between the page and the server may say anything.
 *
 * @param {unknown} text @returns {Message | null}
 */
function messageOf(text) {
  try {
    const message = JSON.parse(String(text));
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}
