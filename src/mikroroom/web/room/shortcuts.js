import { find, part } from "./dom.js";
import { recall, remember } from "./memory.js";

/**
 * Single keys for the buttons of a meeting. They can be turned off, as WCAG 2.1.4 asks: who speaks to the computer, or
 * hits keys by chance, would press them without wanting to.
 *
 * @type {[string, string, string][]} key, what it does, and the button
 */
const KEYS = [
  ["M", "Mute or unmute", "[data-mute]"],
  ["V", "Camera on or off", "[data-camera]"],
  ["S", "Share the screen", "[data-share]"],
  ["H", "Raise or lower the hand", "[data-hand]"],
  ["C", "Chat", "[data-chat]"],
  ["P", "Participants", "[data-participants]"],
];

const toggle = find(document, "#settings [name=shortcuts]", HTMLInputElement);

/** Listen to the keys while the meeting is shown. @param {HTMLElement} toolbar */
export function listenToKeys(toolbar) {
  const table = part(document, "[data-keys]");
  for (const [key, does] of KEYS) {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    const cap = document.createElement("kbd");
    cap.textContent = key;
    term.append(cap);
    meaning.textContent = does;
    table.append(term, meaning);
  }
  toggle.checked = recall("shortcuts") ?? true;
  toggle.onchange = () => remember("shortcuts", toggle.checked);
  addEventListener("keydown", (event) => {
    if (!toggle.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]") || !toolbar.checkVisibility()) return;
    const found = KEYS.find(([key]) => key === event.key.toUpperCase());
    if (!found) return;
    event.preventDefault();
    find(toolbar, found[2], HTMLButtonElement).click();
  });
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
}
