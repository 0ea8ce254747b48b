/** @import { Participant, Room } from "../client/room.js" */
/** @import { Signaling } from "../client/signaling.js" */
import { Rows, button, copy, name, paint, part, show, write } from "./dom.js";

/** Who is here, and what a moderator may do about it. */
export class Participants {
  #rows = new Rows(part(document, "[data-people]"));
  #signaling;
  #room;

  /**
   * @param {Signaling} signaling
   * @param {Room} room
   */
  constructor(signaling, room) {
    this.#signaling = signaling;
    this.#room = room;
    room.on("change", () => this.#show());
  }

  #show() {
    const people = [this.#room.self, ...this.#room.participants.values()].filter((person) => person !== null);
    const named = new Map(people.map((person) => [person.id, person.name]));
    this.#rows.keep(named.keys(), (id) => this.#row(id, named.get(id) ?? ""));
    for (const person of people) this.#tell(this.#rows.get(person.id), person);
  }

  /** @param {string} id @param {string} who */
  #row(id, who) {
    const row = copy("person-template");
    const act = (/** @type {import("../client/messages.js").ModeratorActionRequest["action"]} */ action) => () => this.#signaling.moderate(id, action);
    /** @type {[string, string, () => void][]} */
    const actions = [
      ["[data-mute]", `Mute ${who}`, act("mute")],
      ["[data-ask]", `Ask ${who} to speak`, act("unmute")],
      ["[data-promote]", `Make ${who} moderator`, act("make-moderator")],
      ["[data-remove]", `Remove ${who}`, act("kick")],
    ];
    for (const [selector, label, onclick] of actions) {
      const element = button(row, selector);
      name(element, label);
      element.onclick = onclick;
    }
    return row;
  }

  /** @param {HTMLElement | undefined} row @param {Participant} person */
  #tell(row, person) {
    if (!row) return;
    const isSelf = person === this.#room.self;
    write(part(row, "[data-name]"), isSelf ? `${person.name} (you)` : person.name);
    write(part(row, "[data-role]"), role(person));
    paint(part(row, ".avatar"), person.name);
    row.classList.toggle("away", !person.isConnected);
    show(part(row, "[data-hand]"), person.isHandRaised);
    show(part(row, ".marks [data-muted]"), person.isMuted);
    show(part(row, "[data-dark]"), person.isVideoOff);
    show(part(row, "[data-actions]"), this.#room.isModerator && !isSelf);
    show(button(row, "[data-mute]"), !person.isMuted);
    show(button(row, "[data-ask]"), person.isMuted);
    show(button(row, "[data-promote]"), !person.isModerator);
  }
}

/** @param {Participant} person */
function role({ isHost, isModerator, isConnected }) {
  if (!isConnected) return "reconnecting…";
  return isHost ? "Host" : isModerator ? "Moderator" : "";
}
