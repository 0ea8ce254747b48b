import { button, copy, part, show, write } from "./dom.js";

/** Milliseconds for which a notice stays that asks for nothing. */
const STAY = 5_000;

/** What the page tells in passing: on the screen, and to those who listen to it. */
export class Notices {
  #toasts = part(document, "[data-toasts]");
  #announcer = part(document, "[data-announcer]");

  /** Tell those who listen; others see it in another way. @param {string} text */
  announce(text) {
    write(this.#announcer, text);
  }

  /**
   * Tell everyone. With an action it stays until it is taken or dismissed.
   *
   * @param {string} text
   * @param {{label: string, act: () => void}} [action]
   */
  tell(text, action) {
    const toast = copy("toast-template");
    write(part(toast, "p"), text);
    if (action) {
      const act = button(toast, "[data-act]");
      show(act, true);
      write(act, action.label);
      act.onclick = () => {
        toast.remove();
        action.act();
      };
    } else {
      setTimeout(() => toast.remove(), STAY);
    }
    button(toast, "[aria-label=Dismiss]").onclick = () => toast.remove();
    this.#toasts.append(toast);
    while (this.#toasts.childElementCount > 4) this.#toasts.firstElementChild?.remove();
  }

  clear() {
    this.#toasts.replaceChildren();
  }
}
