/** @import { Ticket } from "../client/signaling.js" */
/**
 * What the page remembers. For this tab: how to come back into a meeting, and which meetings it has made. For next time:
 * the name, the devices, the keys. Two services on one host do not share it.
 */

const PREFIX = `mikroroom ${new URL(".", document.baseURI).pathname} `;

/**
 * @typedef {Partial<Ticket> & {token?: string, isMaker?: boolean, isMuted?: boolean, isVideoOff?: boolean, leftAt?: number}} Visit
 */

/**
 * What this tab knows of its visit to a meeting.
 *
 * @param {string} code
 * @returns {Visit}
 */
export function visit(code) {
  return read("sessionStorage", code) ?? {};
}

/**
 * Remember more about it; what is undefined is forgotten.
 *
 * @param {string} code @param {Visit} more
 */
export function rememberVisit(code, more) {
  write("sessionStorage", code, { ...visit(code), ...more });
}

/** @param {string} what */
export function recall(what) {
  return read("localStorage", what);
}

/** @param {string} what @param {unknown} value */
export function remember(what, value) {
  write("localStorage", what, value);
}

// A browser may forbid storage, or have no room left. Then nothing is remembered, and everything else works.

/** @param {"localStorage" | "sessionStorage"} storage @param {string} key */
function read(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(PREFIX + key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {"localStorage" | "sessionStorage"} storage @param {string} key @param {unknown} value */
function write(storage, key, value) {
  try {
    window[storage].setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    return;
  }
}
