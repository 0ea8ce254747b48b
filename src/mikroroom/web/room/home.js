import { codeIn, tokenIn } from "./codes.js";
import { button, find, part, show, write } from "./dom.js";

/** Where one makes a meeting, or enters a code. */
export class Home {
  #root = part(document, "#home");
  #code = find(this.#root, "[name=code]", HTMLInputElement);
  #problem = part(this.#root, "[data-problem]");

  /** @param {{onNew: () => void, onCode: (code: string, token: string) => void}} options */
  constructor({ onNew, onCode }) {
    button(this.#root, "[data-new]").onclick = onNew;
    find(this.#root, "[data-join]", HTMLFormElement).onsubmit = (event) => {
      event.preventDefault();
      const code = codeIn(this.#code.value);
      this.tell(code ? "" : "A meeting code has six letters or digits, as in ABC123.");
      if (code) onCode(code, tokenIn(this.#code.value));
    };
  }

  /** @param {string} problem */
  tell(problem) {
    write(this.#problem, problem);
    show(this.#problem, Boolean(problem));
  }
}
