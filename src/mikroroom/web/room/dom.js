/** The page's elements: found, copied and changed. Text goes in as text only. */

/**
 * The one element below `root` that `selector` names. It has to be there, and of that type.
 *
 * @template {Element} Type
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Type} type
 * @returns {Type}
 */
export function find(root, selector, type) {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`There is no ${type.name} ${selector}`);
  return element;
}

/** @param {ParentNode} root @param {string} selector */
export const button = (root, selector) => find(root, selector, HTMLButtonElement);

/** @param {ParentNode} root @param {string} selector */
export const part = (root, selector) => find(root, selector, HTMLElement);

/**
 * A copy of what is in the `<template>` with this id: one element.
 *
 * @param {string} id
 */
export function copy(id) {
  const content = find(document, `#${id}`, HTMLTemplateElement).content.firstElementChild;
  return /** @type {HTMLElement} */ (document.importNode(/** @type {Node} */ (content), true));
}

/**
 * Write only what is new: a live region speaks at every write.
 *
 * @param {Element} element @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HTMLElement} element @param {boolean} isShown */
export function show(element, isShown) {
  element.hidden = !isShown;
}

/**
 * What a button does now: its icon and its label, which is also its name.
 *
 * @param {HTMLButtonElement} element @param {string} icon @param {string} label
 */
export function relabel(element, icon, label) {
  find(element, "use", SVGUseElement).setAttribute("href", `#icon-${icon}`);
  const text = element.querySelector("span");
  if (text) write(text, label);
  else element.setAttribute("aria-label", label);
  element.title = label;
}

/**
 * A button with an icon alone needs its name said.
 *
 * @param {HTMLButtonElement} element @param {string} name
 */
export function name(element, name) {
  element.setAttribute("aria-label", name);
  element.title = name;
}

/** The first letters of up to two words. @param {string} text */
export function initials(text) {
  const words = text.trim().split(/\s+/u);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : ""].map((word) => [...word][0] ?? "");
  return letters.join("").toLocaleUpperCase();
}

/** One of twelve hues for a name, always the same one. @param {string} text */
export function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return String((sum % 12) * 30);
}

/**
 * An avatar shows initials on a colour of its own.
 *
 * @param {HTMLElement} avatar @param {string} text
 */
export function paint(avatar, text) {
  write(avatar, initials(text));
  avatar.style.setProperty("--hue", hue(text));
}

/** The rows of a list, one for each id. */
export class Rows {
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /** @param {HTMLElement} list */
  constructor(list) {
    this.list = list;
    list.replaceChildren();
  }

  /**
   * Have a row for each of these ids and for no other. `make` gives one that is missing.
   *
   * @param {Iterable<string>} ids @param {(id: string) => HTMLElement} make
   */
  keep(ids, make) {
    const kept = new Set(ids);
    for (const [id, row] of this.#rows) {
      if (kept.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const id of kept) {
      if (this.#rows.has(id)) continue;
      const row = make(id);
      this.#rows.set(id, row);
      this.list.append(row);
    }
  }

  /** @param {string} id */
  get(id) {
    return this.#rows.get(id);
  }
}
