/** @import { ChatMessage } from "../client/messages.js" */
/** @import { IncomingFile, OutgoingFile } from "../client/files.js" */
/** @import { Peers } from "../client/peers.js" */
/** @import { Room } from "../client/room.js" */
/** @import { Signaling } from "../client/signaling.js" */
/** @import { Notices } from "./notices.js" */
import { button, copy, find, name, part, show, write } from "./dom.js";
import { withLinks } from "./links.js";
import { Recipients } from "./recipients.js";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
/** Messages that stay on the page. */
const KEPT = 500;
const DELETED = "This message was deleted";

/**
 * A message on the page. `isFor` is empty for everyone, else the id of the other one to whom it is known.
 *
 * @typedef {{name: string, text: string, item: HTMLElement, isFor: string, replyTo?: string}} Said
 */

/** What is said and handed over in a meeting. */
export class Chat {
  #panel = part(document, "[data-panel=chat]");
  #log = part(this.#panel, "[data-log]");
  #list = part(this.#log, "ol");
  #form = find(this.#panel, "[data-say]", HTMLFormElement);
  #text = find(this.#form, "[name=text]", HTMLTextAreaElement);
  #quote = part(this.#form, "[data-quote]");
  #file = find(this.#form, "[data-file]", HTMLInputElement);
  #signaling;
  #room;
  #peers;
  #notices;
  #recipients;
  /** @type {Map<string, Said>} What can be replied to and deleted, by message id. */
  #said = new Map();
  #replyTo = "";
  /** @type {Set<string>} Addresses of files that can be saved. */
  #addresses = new Set();
  /** How many have come that nobody has seen. */
  unread = 0;
  onUnread = () => {};

  /**
   * @param {Signaling} signaling
   * @param {Room} room
   * @param {Peers} peers
   * @param {Notices} notices
   */
  constructor(signaling, room, peers, notices) {
    this.#signaling = signaling;
    this.#room = room;
    this.#peers = peers;
    this.#notices = notices;
    this.#recipients = new Recipients(room);
    this.#list.replaceChildren();
    this.#text.value = "";
    this.#reply("");
    signaling.on("chat", (message) => this.#hear(message));
    signaling.on("message-deleted", ({ messageId }) => this.#remove(messageId));
    room.on("change", () => this.#list.classList.toggle("moderated", room.isModerator));
    peers.on("peer", (peer) => peer.on("file", (file) => this.#receive(peer.id, file)));
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#say();
    };
    this.#text.onkeydown = (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#say();
    };
    this.#text.oninput = () => this.#fit();
    button(this.#quote, "button").onclick = () => this.#reply("");
    button(this.#form, "[data-attach]").onclick = () => this.#file.click();
    this.#file.onchange = () => {
      for (const file of this.#file.files ?? []) this.#offer(file);
      this.#file.value = "";
    };
  }

  /** The panel has been opened. */
  open() {
    this.unread = 0;
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#text.focus();
  }

  close() {
    for (const address of this.#addresses) URL.revokeObjectURL(address);
    this.#list.replaceChildren();
  }

  #say() {
    const text = this.#text.value.trim();
    if (!text) return;
    if (this.#recipients.isGone) {
      this.#notices.tell(`${this.#recipients.name} has left. Choose for whom this is.`);
      return;
    }
    try {
      this.#signaling.chat(text, this.#replyTo, this.#recipients.chosen);
    } catch (error) {
      this.#notices.tell(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#text.value = "";
    this.#fit();
    this.#reply("");
  }

  /** @param {ChatMessage} message */
  #hear(message) {
    const { participantId, messageId, text, replyTo, targetId, isHistory, timestamp } = message;
    // Told all anew, one hears of what is here already.
    if (this.#said.has(messageId)) return;
    const author = message.name || this.#nameOf(participantId);
    const isOwn = participantId === this.#room.self?.id;
    const isBefore = Boolean(isHistory) && this.#isAtBeginning;
    const item = copy("message-template");
    this.#sign(item, participantId, timestamp, author);
    part(item, ".text").replaceChildren(...withLinks(text));
    if (targetId) {
      write(part(item, "[data-only] span"), isOwn ? `Only to ${this.#nameOf(targetId)}` : "Only to you");
      show(part(item, "[data-only]"), true);
      item.classList.add("private");
    }
    const answered = replyTo && this.#said.get(replyTo);
    if (answered) {
      write(part(item, ".quote"), `${answered.name}: ${answered.text}`);
      show(part(item, ".quote"), true);
    }
    const isFor = targetId ? (isOwn ? targetId : participantId) : "";
    const reply = button(item, "[data-reply]");
    name(reply, `Reply to ${author}`);
    reply.onclick = () => this.#reply(messageId);
    const remove = button(item, "[data-delete]");
    name(remove, isOwn ? "Delete your message" : `Delete the message of ${author}`);
    remove.onclick = () => this.#signaling.deleteMessage(messageId);
    if (isBefore) this.#divide();
    this.#said.set(messageId, { name: author, text, item, isFor, replyTo });
    if (this.#said.size > KEPT) this.#said.delete([...this.#said.keys()][0]);
    item.classList.toggle("before", isBefore);
    this.#add(item, participantId, isBefore ? "" : `New ${targetId ? "private " : ""}message from ${author}`);
  }

  /** Whether nothing is here but what was said before. */
  get #isAtBeginning() {
    return !this.#list.querySelector(".message:not(.before)");
  }

  /** What was said before begins here. */
  #divide() {
    if (this.#list.querySelector(".divider")) return;
    const divider = copy("divider-template");
    write(divider, "Before you came");
    this.#list.append(divider);
  }

  /** Somebody has deleted a message. @param {string} messageId */
  #remove(messageId) {
    const said = this.#said.get(messageId);
    if (!said) return;
    this.#said.delete(messageId);
    if (this.#replyTo === messageId) this.#reply("");
    for (const { item, replyTo } of this.#said.values()) {
      if (replyTo === messageId) write(part(item, ".quote"), DELETED);
    }
    const hadFocus = said.item.contains(document.activeElement);
    said.item.remove();
    if (!this.#list.querySelector(".before")) this.#list.querySelector(".divider")?.remove();
    if (!hadFocus) return;
    this.#log.focus();
    this.#notices.announce("The message is deleted");
  }

  /** @param {string} messageId */
  #reply(messageId) {
    this.#replyTo = messageId;
    const said = this.#said.get(messageId);
    write(part(this.#quote, "span"), said ? `${said.name}: ${said.text}` : "");
    show(this.#quote, Boolean(said));
    if (!said) return;
    // What was said in private is answered so.
    if (said.isFor) this.#recipients.choose(said.isFor);
    this.#text.focus();
  }

  // Files

  /** To everyone whose page can take it. @param {File} file */
  #offer(file) {
    const self = this.#room.self;
    const transfers = [...this.#peers].flatMap((peer) => peer.sendFile(file) ?? []);
    if (!self || !transfers.length) {
      this.#notices.tell(`Nobody is here who could take ${file.name}.`);
      return;
    }
    const item = this.#fileItem(self.id, file);
    const tell = () => this.#tellSending(item, transfers);
    for (const transfer of transfers) transfer.on("change", tell);
    tell();
    this.#add(item, self.id, "");
  }

  /** @param {HTMLElement} item @param {OutgoingFile[]} transfers */
  #tellSending(item, transfers) {
    const count = (/** @type {string} */ state) => transfers.filter((transfer) => transfer.state === state).length;
    const parts = [`${count("done")} of ${transfers.length} have it`];
    if (count("failed")) parts.push(`${count("failed")} without`);
    write(part(item, "[data-state]"), parts.join(", "));
    const moving = transfers.filter(({ state }) => state === "moving");
    this.#progress(item, moving.length ? Math.min(...moving.map(({ moved, info }) => moved / info.size)) : null);
  }

  /** @param {string} id @param {IncomingFile} file */
  #receive(id, file) {
    const item = this.#fileItem(id, file.info);
    const accept = button(item, "[data-accept]");
    const decline = button(item, "[data-decline]");
    const save = find(item, "[data-save]", HTMLAnchorElement);
    accept.onclick = () => file.accept();
    decline.onclick = () => file.decline();
    const tell = () => {
      show(accept, file.state === "offered");
      show(decline, file.state === "offered");
      this.#progress(item, file.state === "moving" ? file.moved / file.info.size : null);
      write(part(item, "[data-state]"), file.state === "failed" ? "Not received" : "");
      if (file.blob && !save.href) {
        save.href = URL.createObjectURL(file.blob);
        save.download = file.info.name;
        this.#addresses.add(save.href);
        show(save, true);
      }
    };
    file.on("change", tell);
    tell();
    this.#add(item, id, `${this.#nameOf(id)} offers the file ${file.info.name}`);
  }

  /** @param {string} id @param {{name: string, size: number}} info */
  #fileItem(id, info) {
    const item = copy("file-template");
    this.#sign(item, id, Date.now(), this.#nameOf(id));
    write(part(item, "[data-name]"), info.name);
    write(part(item, "[data-size]"), sizeText(info.size));
    for (const [selector, verb] of [["[data-accept]", "Accept"], ["[data-decline]", "Decline"], ["[data-save]", "Save"]]) {
      part(item, selector).setAttribute("aria-label", `${verb} ${info.name}`);
    }
    find(item, "progress", HTMLProgressElement).setAttribute("aria-label", info.name);
    return item;
  }

  /** @param {HTMLElement} item @param {number | null} share */
  #progress(item, share) {
    const progress = find(item, "progress", HTMLProgressElement);
    show(progress, share !== null);
    if (share !== null) progress.value = share;
  }

  // The log

  /** @param {HTMLElement} item @param {string} id @param {number} timestamp @param {string} author */
  #sign(item, id, timestamp, author) {
    const time = find(item, "time", HTMLTimeElement);
    const date = new Date(timestamp);
    write(part(item, ".by b"), author);
    write(time, CLOCK.format(date));
    time.dateTime = date.toISOString();
    item.classList.toggle("own", id === this.#room.self?.id);
  }

  /** @param {HTMLElement} item @param {string} id @param {string} news empty for what is none */
  #add(item, id, news) {
    const log = this.#log;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    this.#list.append(item);
    while (this.#list.childElementCount > KEPT) this.#list.firstElementChild?.remove();
    const isOwn = id === this.#room.self?.id;
    if (isAtEnd || isOwn) log.scrollTop = log.scrollHeight;
    if (isOwn || !news || !this.#panel.hidden) return;
    this.unread += 1;
    this.#notices.announce(news);
    this.onUnread();
  }

  /** @param {string} id */
  #nameOf(id) {
    return this.#room.nameOf(id) || "Somebody";
  }

  /** As high as what is in it, up to a bound in the style sheet. */
  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }
}

/** @param {number} bytes */
function sizeText(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const format = new Intl.NumberFormat(undefined, { style: "unit", unit: UNITS[power], maximumFractionDigits: 1 });
  return format.format(bytes / 1000 ** power);
}
