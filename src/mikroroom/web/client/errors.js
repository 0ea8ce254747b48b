/** What can go wrong between a client and its server. */

/** The server said no, and nothing has changed. `code` is one of the protocol's error codes. */
export class RefusedError extends Error {
  /** @param {{code: string, message: string}} refusal */
  constructor({ code, message }) {
    super(message);
    this.name = "RefusedError";
    this.code = code;
  }
}

/** The connection is closed for good. `code` is a close code; 1006 where nobody answered. */
export class ClosedError extends Error {
  /**
   * @param {number} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(reason || `The connection was closed (${code})`);
    this.name = "ClosedError";
    this.code = code;
  }

  /** Whether one must not come back: kicked, rejected, replaced, or the meeting has ended. */
  get isFinal() {
    return this.code >= 4500 && this.code <= 4999;
  }
}

/** So much waits for the connection to come back that no more is taken in. */
export class QueueFullError extends Error {
  constructor() {
    super("Too much waits for the connection to come back");
    this.name = "QueueFullError";
  }
}
