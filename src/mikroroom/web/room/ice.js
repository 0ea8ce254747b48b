/** Milliseconds for which to go by an answer that says nothing of a time in which it ends. */
const LONG = 86_400_000;

/** The server's `/config`: asked for while one is in the lobby, so that it need not be waited for. */
export class IceConfiguration {
  #url;
  /** @type {Promise<RTCIceServer[]> | null} */
  #servers = null;
  /** When half of its time has passed, which is late enough to begin a meeting with it. */
  #until = 0;

  /** @param {URL} url */
  constructor(url) {
    this.#url = url;
  }

  /** Ask now for what will be needed. */
  ask() {
    this.#until = Date.now() + LONG;
    this.#servers = this.#fetch();
    return this.#servers;
  }

  /** What was asked for, if that is good enough; else it is asked for anew. */
  async take() {
    return this.#servers && Date.now() < this.#until ? this.#servers : this.ask();
  }

  /** Without any, two browsers in one network still find each other. @returns {Promise<RTCIceServer[]>} */
  async #fetch() {
    const asked = Date.now();
    try {
      const { iceServers, ttl } = await (await fetch(this.#url)).json();
      if (iceServers && ttl) this.#until = asked + ttl * 500;
      if (iceServers) return iceServers;
    } catch {
      // Whoever cannot be reached says so when one enters.
    }
    this.#until = 0;
    return [];
  }
}
