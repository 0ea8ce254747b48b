import { ClosedError, RefusedError } from "../client/errors.js";

/**
 * How a meeting ends, or does not begin, in words.
 *
 * @typedef {{title: string, text: string, again: string}} Ending `again` is what one can do about it
 */

/** @type {Ending} */
export const LEFT = { title: "You have left", text: "The meeting goes on without you.", again: "Go back" };

const RETRY = "Try again";

/** @type {Record<string, Ending>} */
const REFUSALS = {
  ROOM_FULL: { title: "This meeting is full", text: "Every seat is taken. Try again when somebody has left.", again: RETRY },
  ROOM_NOT_FOUND: {
    title: "There is no such meeting",
    text: "Check the code. Or it has not begun: a meeting is there once its host has entered.",
    again: RETRY,
  },
  WAITING_ROOM_FULL: { title: "Too many are waiting", text: "Try again in a moment.", again: RETRY },
  ROOM_LIMIT: { title: "The server is full", text: "It holds as many meetings as it may. Try again later.", again: RETRY },
  INVALID_TOKEN: {
    title: "Your invitation does not hold",
    text: "It may be over, or revoked, or this meeting may need one. Ask for a new link.",
    again: RETRY,
  },
  BANNED: { title: "You were removed", text: "For a time you cannot come back to this meeting.", again: RETRY },
  RATE_LIMITED: { title: "Too many attempts", text: "Wait a minute, then try again.", again: RETRY },
};

/** @type {Record<number, Ending>} */
const CLOSINGS = {
  4501: { title: "You were removed", text: "A moderator has removed you from the meeting.", again: "Ask to come back" },
  4502: { title: "You were not let in", text: "A moderator has turned your request down.", again: "Ask again" },
  4503: { title: "Opened somewhere else", text: "You are in this meeting in another tab or window.", again: "Use it here" },
  4504: { title: "The meeting has ended", text: "It is over for everyone.", again: RETRY },
};

/**
 * @param {unknown} error
 * @param {string} reason what a moderator has said about it
 * @returns {Ending}
 */
export function endingOf(error, reason = "") {
  const known =
    error instanceof RefusedError ? REFUSALS[error.code] : error instanceof ClosedError ? CLOSINGS[error.code] : undefined;
  if (known) return reason ? { ...known, text: `${known.text} “${reason}”` } : known;
  if (error instanceof RefusedError && error.code === "UNAUTHORIZED") {
    return { title: "You may not join", text: error.message, again: RETRY };
  }
  const isUnreachable = error instanceof ClosedError;
  return {
    title: isUnreachable ? "The server cannot be reached" : "That did not work",
    text: isUnreachable ? "Check your network. It may also be that too many have tried at once." : String(error),
    again: RETRY,
  };
}
