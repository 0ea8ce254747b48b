/**
 * The code of a meeting: six letters or digits, in the page's address after the #. A slash and a token may follow: browsers
 * send to nobody what stands there.
 */

/** Without what looks alike: 0 and O, 1, I and L. */
const ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
const LENGTH = 6;

/**
 * The code in what somebody has typed or pasted, which may be a whole link; empty if there is none.
 *
 * @param {string} text
 */
export function codeIn(text) {
  const [code] = partsOf(text);
  return /^[A-Za-z0-9]{6}$/u.test(code) ? code.toUpperCase() : "";
}

/**
 * The join token or invite after it; empty if there is none.
 *
 * @param {string} text
 */
export function tokenIn(text) {
  return partsOf(text)[1];
}

/** A new one, by chance that nobody can foresee. */
export function newCode() {
  let code = "";
  while (code.length < LENGTH) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // Past the last whole alphabet in 256 some letters would come more often.
    if (byte < 256 - (256 % ALPHABET.length)) code += ALPHABET[byte % ALPHABET.length];
  }
  return code;
}

/** Where to invite others to. @param {string} code */
export function linkTo(code) {
  return new URL(`#${code}`, document.baseURI).href;
}

/** @param {string} text @returns {[string, string]} */
function partsOf(text) {
  const [code = "", token = ""] = text.slice(text.lastIndexOf("#") + 1).trim().split("/");
  return [code.replace(/[\s-]/gu, ""), token];
}
