/** @import { Peers } from "../client/peers.js" */
/** @import { Room } from "../client/room.js" */
/** @import { Chat } from "./chat.js" */
/** @import { Devices } from "./devices.js" */
/** @import { Notices } from "./notices.js" */
import { button, find, part, relabel, show, write } from "./dom.js";

const REACTIONS = /** @type {const} */ ([
  ["👍", "thumbs up"],
  ["👏", "applause"],
  ["❤️", "heart"],
  ["😂", "laughter"],
  ["😮", "surprise"],
  ["🎉", "celebration"],
]);

/** What may be shown on somebody's tile; a page may say anything. @param {unknown} emoji */
export function isReaction(emoji) {
  return REACTIONS.some(([known]) => known === emoji);
}

/** The buttons below the stage, and the panels that two of them open. */
export class Toolbar {
  #root = part(document, ".toolbar");
  #panels = { chat: part(document, "[data-panel=chat]"), participants: part(document, "[data-panel=participants]") };
  #buttons = {
    mute: button(this.#root, "[data-mute]"),
    camera: button(this.#root, "[data-camera]"),
    share: button(this.#root, "[data-share]"),
    hand: button(this.#root, "[data-hand]"),
    chat: button(this.#root, "[data-chat]"),
    participants: button(this.#root, "[data-participants]"),
  };
  #room;
  #peers;
  #devices;
  #chat;
  #notices;
  #unlisten;

  /**
   * @param {Room} room
   * @param {Peers} peers
   * @param {Devices} devices
   * @param {Chat} chat
   * @param {Notices} notices
   * @param {{onReact: (emoji: string) => void, onLeave: () => void}} options
   */
  constructor(room, peers, devices, chat, notices, { onReact, onLeave }) {
    this.#room = room;
    this.#peers = peers;
    this.#devices = devices;
    this.#chat = chat;
    this.#notices = notices;
    this.#buttons.mute.onclick = () => void this.#setMuted(!devices.isMuted);
    this.#buttons.camera.onclick = () => void this.#setVideoOff(!devices.isVideoOff);
    this.#buttons.share.onclick = () => void this.#share();
    this.#buttons.hand.onclick = () => room.raiseHand(!room.self?.isHandRaised);
    this.#buttons.chat.onclick = () => this.#open("chat");
    this.#buttons.participants.onclick = () => this.#open("participants");
    button(this.#root, "[data-leave]").onclick = onLeave;
    button(this.#root, "[data-settings]").onclick = () => find(document, "#settings", HTMLDialogElement).showModal();
    for (const panel of Object.values(this.#panels)) {
      show(panel, false);
      button(panel, "[data-close]").onclick = () => this.#shut();
      panel.onkeydown = (event) => {
        if (event.key === "Escape") this.#shut();
      };
    }
    this.#offerReactions(onReact);
    show(this.#buttons.share, devices.canShare);
    this.#unlisten = devices.on("change", () => this.#show());
    room.on("change", () => this.#show());
    chat.onUnread = () => this.#show();
    this.#show();
  }

  close() {
    this.#unlisten();
  }

  #show() {
    const { mute, camera, share, hand, chat, participants } = this.#buttons;
    const { isMuted, isVideoOff, screen } = this.#devices;
    const isRaised = this.#room.self?.isHandRaised ?? false;
    relabel(mute, isMuted ? "mic-off" : "mic", isMuted ? "Unmute" : "Mute");
    relabel(camera, isVideoOff ? "camera-off" : "camera", isVideoOff ? "Start camera" : "Stop camera");
    relabel(share, "screen", screen ? "Stop sharing" : "Share screen");
    relabel(hand, "hand", isRaised ? "Lower hand" : "Raise hand");
    mute.classList.toggle("off", isMuted);
    camera.classList.toggle("off", isVideoOff);
    share.classList.toggle("on", Boolean(screen));
    hand.classList.toggle("on", isRaised);
    badge(chat, this.#chat.unread, "unread");
    badge(participants, this.#room.participants.size + 1, "here");
    for (const [panel, element] of Object.entries(this.#panels)) {
      const opener = panel === "chat" ? chat : participants;
      opener.setAttribute("aria-expanded", String(!element.hidden));
      opener.classList.toggle("on", !element.hidden);
    }
  }

  /** @param {boolean} isMuted */
  async #setMuted(isMuted) {
    await this.#devices.setMuted(isMuted);
    if (!isMuted && this.#devices.isMuted) this.#notices.tell(this.#devices.problems.audio);
  }

  /** @param {boolean} isVideoOff */
  async #setVideoOff(isVideoOff) {
    await this.#devices.setVideoOff(isVideoOff);
    if (!isVideoOff && this.#devices.isVideoOff) this.#notices.tell(this.#devices.problems.video);
  }

  async #share() {
    if (this.#devices.screen) this.#devices.unshare();
    else await this.#devices.share().catch(() => this.#notices.tell("The screen cannot be shown."));
  }

  /** Open a panel, or close it if it is open. @param {"chat" | "participants"} name */
  #open(name) {
    const isOpening = this.#panels[name].hidden;
    for (const [other, panel] of Object.entries(this.#panels)) show(panel, isOpening && other === name);
    if (isOpening && name === "chat") this.#chat.open();
    else if (isOpening) part(document, "[data-people]").focus();
    this.#show();
  }

  #shut() {
    for (const [name, panel] of Object.entries(this.#panels)) {
      // Back to where one was before.
      if (!panel.hidden) (name === "chat" ? this.#buttons.chat : this.#buttons.participants).focus();
      show(panel, false);
    }
    this.#show();
  }

  /** @param {(emoji: string) => void} onReact */
  #offerReactions(onReact) {
    const root = part(document, "#reactions");
    const buttons = REACTIONS.map(([emoji, name]) => {
      const element = document.createElement("button");
      element.type = "button";
      element.textContent = emoji;
      element.setAttribute("aria-label", `React with ${name}`);
      element.onclick = () => {
        root.hidePopover();
        this.#peers.send({ type: "reaction", emoji });
        onReact(emoji);
      };
      return element;
    });
    root.replaceChildren(...buttons);
  }
}

/** @param {HTMLButtonElement} opener @param {number} count @param {string} what */
function badge(opener, count, what) {
  const element = part(opener, ".badge");
  write(element, String(count));
  show(element, count > 0);
  if (count) opener.setAttribute("aria-description", `${count} ${what}`);
  else opener.removeAttribute("aria-description");
}
