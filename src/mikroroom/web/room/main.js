/** @import { Entry } from "../client/place.js" */
/** @import { Ending } from "./endings.js" */
import { Backoff, ClosedError, RefusedError } from "../mikroroom.js";
import { codeIn, newCode, tokenIn } from "./codes.js";
import { Devices } from "./devices.js";
import { button, find, part, show, write } from "./dom.js";
import { endingOf } from "./endings.js";
import { Home } from "./home.js";
import { IceConfiguration } from "./ice.js";
import { Lobby } from "./lobby.js";
import { Meeting } from "./meeting.js";
import { rememberVisit, visit } from "./memory.js";
import { Notices } from "./notices.js";
import { deviceLists } from "./settings.js";
import { listenToKeys } from "./shortcuts.js";

const SCREENS = /** @type {const} */ (["home", "lobby", "pause", "ending", "meeting"]);
const TITLE = document.title;
/** Milliseconds. */
const A_MOMENT = 300_000;

/** Relative to the page, so that it works under any prefix. @param {string} path */
const endpoint = (path) => new URL(path, document.baseURI.replace(/#.*/u, ""));

/** Which screen is shown, and why. */
class App {
  #devices = new Devices();
  #notices = new Notices();
  #home = new Home({
    onNew: () => {
      const code = newCode();
      rememberVisit(code, { isMaker: true });
      location.hash = code;
    },
    onCode: (code, token) => (location.hash = token ? `${code}/${token}` : code),
  });
  #lobby = new Lobby(this.#devices, {
    onEnter: (entry) => this.#enter(entry),
    onBack: () => (location.hash = ""),
  });
  /** @type {Meeting | null} */
  #meeting = null;
  /** @type {Entry | null} How one has entered last. */
  #entry = null;
  #ice = new IceConfiguration(endpoint("config"));
  /** @type {(typeof SCREENS)[number] | ""} */
  #screen = "";
  #code = "";

  start() {
    const settings = find(document, "#settings", HTMLDialogElement);
    const showDevices = deviceLists(part(settings, "[data-devices]"), this.#devices);
    this.#devices.on("change", () => void showDevices());
    listenToKeys(part(document, ".toolbar"));
    button(document, "#pause [data-leave]").onclick = () => (this.#meeting ? this.#meeting.leave() : (location.hash = ""));
    button(document, "#ending [data-home]").onclick = () => (location.hash = "");
    addEventListener("hashchange", () => this.#route());
    addEventListener("pagehide", () => rememberVisit(this.#code, { leftAt: Date.now() }));
    this.#route();
  }

  /** Go where the page's address says. */
  #route() {
    const code = codeIn(location.hash);
    this.#keepToken(code, tokenIn(location.hash));
    if (code && code === this.#code && this.#meeting) return;
    this.#drop();
    this.#code = code;
    document.title = code ? `${code} · ${TITLE}` : TITLE;
    if (!code) {
      this.#devices.stop();
      this.#home.tell(location.hash.length > 1 ? "A meeting code has six letters or digits, as in ABC123." : "");
      this.#show("home");
    } else if (isReturning(code)) {
      void this.#comeBack();
    } else {
      this.#openLobby();
    }
  }

  /** Whoever looks at the address, or is shown the history, is not to find a token. @param {string} code @param {string} token */
  #keepToken(code, token) {
    if (!code || !token) return;
    rememberVisit(code, { token });
    history.replaceState(null, "", `#${code}`);
  }

  /** @param {{problem?: string, asksPassword?: boolean}} [options] */
  #openLobby(options) {
    this.#ice.ask();
    this.#show("lobby");
    this.#lobby.open(this.#code, { isMaker: Boolean(visit(this.#code).isMaker), ...options });
  }

  /** From the lobby, or once more after a refusal. @param {Entry} entry */
  async #enter(entry) {
    const { creatorToken, name, resumeTokens, token } = visit(this.#code);
    try {
      await this.#join({ ...entry, creatorToken, token, ...(name === entry.name ? { resumeTokens } : {}) });
    } catch (error) {
      if (hasLeft(error)) return;
      if (error instanceof RefusedError && error.code === "INVALID_PASSWORD") {
        if (this.#screen !== "lobby") this.#openLobby();
        this.#lobby.askPassword();
      } else if (error instanceof RefusedError && error.code === "INVALID_MESSAGE") {
        if (this.#screen !== "lobby") this.#openLobby();
        this.#lobby.tell(error.message);
      } else {
        this.#end(endingOf(error), () => void this.#enter(entry));
      }
    }
  }

  /** The page was loaded anew in the middle of a meeting: go on with it. */
  async #comeBack() {
    const code = this.#code;
    const { name = "", resumeTokens, creatorToken, token, isMuted, isVideoOff, isMaker } = visit(code);
    Object.assign(this.#devices, { isMuted: Boolean(isMuted), isVideoOff: Boolean(isVideoOff) });
    this.#pause("Coming back", "Your place is kept.");
    const entry = { roomId: code, name, creatorToken, token, ...(isMaker ? { isHost: true } : {}) };
    const backoff = new Backoff();
    let isTrying = true;
    while (isTrying && this.#code === code && this.#screen === "pause") {
      isTrying = false;
      try {
        await this.#join({ ...entry, resumeTokens });
      } catch (error) {
        if (hasLeft(error)) return;
        isTrying = error instanceof ClosedError && !error.isFinal;
        if (isTrying) await backoff.wait();
        else if (error instanceof RefusedError && error.code === "INVALID_PASSWORD") this.#openLobby({ asksPassword: true });
        else this.#end(endingOf(error), () => this.#openLobby());
      }
    }
  }

  /** @param {Entry & {resumeTokens?: string[]}} how */
  async #join({ resumeTokens, ...entry }) {
    const iceServers = await this.#ice.take();
    if (this.#code !== entry.roomId) throw new ClosedError(1000, "Left meanwhile");
    this.#entry = entry;
    this.#meeting ??= new Meeting({
      server: websocketOf(endpoint("ws")),
      ice: this.#ice,
      devices: this.#devices,
      notices: this.#notices,
      onStatus: (status) => this.#showMeeting(status),
      onEnd: (ending, isByChoice) => this.#end(ending, () => this.#goBack(isByChoice)),
    });
    void this.#devices.start();
    await this.#meeting.enter({ ...entry, resumeTokens }, iceServers);
  }

  /** After an end. Who has left by choice looks at themselves again. @param {boolean} isByChoice */
  #goBack(isByChoice) {
    if (isByChoice || !this.#entry) this.#openLobby();
    else void this.#enter(this.#entry);
  }

  /** @param {"waiting" | "inside"} status */
  #showMeeting(status) {
    if (status === "inside") this.#show("meeting");
    else this.#pause("Waiting to be let in", "A moderator has been told that you are here.");
  }

  /** @param {string} title @param {string} text */
  #pause(title, text) {
    if (this.#screen === "pause" && part(document, "#pause h1").textContent === title) return;
    write(part(document, "#pause [data-title]"), title);
    write(part(document, "#pause [data-text]"), text);
    this.#show("pause");
  }

  /** @param {Ending} ending @param {() => void} onAgain */
  #end({ title, text, again }, onAgain) {
    this.#drop();
    this.#devices.stop();
    const root = part(document, "#ending");
    write(part(root, "[data-title]"), title);
    write(part(root, "[data-text]"), text);
    write(part(root, "[data-again]"), again);
    button(root, "[data-again]").onclick = onAgain;
    this.#show("ending");
  }

  #drop() {
    const meeting = this.#meeting;
    this.#meeting = null;
    meeting?.close();
    this.#lobby.close();
    this.#notices.clear();
    find(document, "#settings", HTMLDialogElement).close();
  }

  /** @param {(typeof SCREENS)[number]} screen */
  #show(screen) {
    if (this.#screen === screen) return;
    this.#screen = screen;
    if (screen !== "lobby") this.#lobby.close();
    for (const id of SCREENS) show(part(document, `#${id}`), id === screen);
    document.body.dataset.screen = screen;
    // So that the next Tab goes on from here, and a screen reader reads what is new.
    const heading = document.querySelector(`#${screen} h1`);
    if (heading instanceof HTMLElement) {
      heading.tabIndex = -1;
      heading.focus();
    }
  }
}

/**
 * Whether the page was in this meeting a moment ago. A browser that opens yesterday's tabs again must not turn on a camera
 * unasked: then one comes by the lobby.
 *
 * @param {string} code
 */
function isReturning(code) {
  const { resumeTokens = [], leftAt = 0 } = visit(code);
  return resumeTokens.length > 0 && Date.now() - leftAt < A_MOMENT;
}

/** Whether the person did not wait for the answer. @param {unknown} error */
function hasLeft(error) {
  return error instanceof ClosedError && error.code === 1000;
}

/** @param {URL} url */
function websocketOf(url) {
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

new App().start();
