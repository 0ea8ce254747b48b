/**
 * Waits that double from `first` seconds to `most`, of each a random part, so that those whom a restart has cut off do
 * not all come back at once.
 */
export class Backoff {
  #next;
  /** @type {(() => void) | null} */
  #hurry = null;

  constructor({ first = 0.5, most = 5, chance = Math.random } = {}) {
    this.first = first;
    this.most = most;
    this.chance = chance;
    this.#next = first;
  }

  /** Wait before the next try. */
  async wait() {
    const seconds = this.chance() * this.#next;
    this.#next = Math.min(this.#next * 2, this.most);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
    this.#hurry = null;
  }

  /** Wait no longer: the network is back. */
  hurry() {
    this.#hurry?.();
  }

  /** It has worked: the next time begins anew. */
  reset() {
    this.#next = this.first;
  }
}
