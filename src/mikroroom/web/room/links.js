/** Addresses in a text become links; all else stays text. */

const ADDRESS = /https?:\/\/[^\s<>"']+/giu;
/** What ends a sentence rather than an address. */
const TRAILING = /[.,;:!?)\]}]+$/u;

/**
 * @param {string} text
 * @returns {(Text | HTMLAnchorElement)[]}
 */
export function withLinks(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = match[0].replace(TRAILING, "");
    if (!URL.canParse(address)) continue;
    parts.push(document.createTextNode(text.slice(end, match.index)), link(address));
    end = match.index + address.length;
  }
  parts.push(document.createTextNode(text.slice(end)));
  return parts;
}

/** @param {string} address */
function link(address) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.textContent = address;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow";
  return anchor;
}
