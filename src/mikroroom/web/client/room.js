/** @import { Message, ParticipantJoinedMessage, ParticipantUpdatedMessage } from "./messages.js" */
/** @import { Signaling } from "./signaling.js" */
import { Emitter } from "./emitter.js";

/**
 * Milliseconds after which a snapshot has been told whole. It has no end of its own, and who is not in it by then has left
 * while one was away.
 */
const SNAPSHOT = 1_000;

/**
 * @typedef {Pick<ParticipantUpdatedMessage,
 *   "isModerator" | "isHost" | "isMuted" | "isVideoOff" | "isHandRaised" | "isConnected">} State
 *
 * Somebody in the room.
 * @typedef {State & {id: string, name: string}} Participant
 *
 * `change` comes after each of the others, and whenever anything else is not as it was.
 * @typedef {{change: undefined, entered: Participant, joined: Participant, left: Participant,
 *   updated: {participant: Participant, before: Participant}, knocked: {id: string, name: string}}} RoomEvents
 */

/**
 * What is known of the room that a `Signaling` is in. It reads along, so it must be made before one joins.
 *
 * @extends {Emitter<RoomEvents>}
 */
export class Room extends Emitter {
  /** @type {"outside" | "waiting" | "inside"} */
  status = "outside";
  /** @type {Participant | null} Oneself, once inside. */
  self = null;
  /** @type {Map<string, Participant>} The others by id, the longest present first. */
  participants = new Map();
  /** @type {Map<string, string>} Names of those who wait to be let in, by id. Only moderators are told. */
  waiting = new Map();
  isLocked = false;
  /** @type {Set<string>} Ids of those whose clients record. */
  recorders = new Set();
  #signaling;
  /** @type {Set<string>} Known from before a snapshot, and not in it yet. */
  #unconfirmed = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #snapshot;

  /** @param {Signaling} signaling */
  constructor(signaling) {
    super();
    this.#signaling = signaling;
    signaling.on("message", (message) => this.#hear(message));
    signaling.on("resumed", ({ replayed }) => {
      if (!replayed) this.#expectSnapshot();
      else if (this.#unconfirmed.size) this.#awaitSnapshot();
    });
    // The rest of it comes with the next connection.
    signaling.on("suspended", () => clearTimeout(this.#snapshot));
    signaling.on("rejoined", () => this.#clear());
    signaling.on("place", (ticket) => {
      if (ticket) return;
      this.#clear();
      this.status = "outside";
      this.self = null;
      this.emit("change", undefined);
    });
  }

  get isModerator() {
    return this.self?.isModerator ?? false;
  }

  /** The name of somebody here, oneself included; empty for nobody. @param {string} id */
  nameOf(id) {
    return this.#find(id)?.name ?? "";
  }

  /**
   * Change one's own state, and tell the others.
   *
   * @param {{isMuted?: boolean, isVideoOff?: boolean}} state
   */
  update(state) {
    if (!this.self) return;
    this.#signaling.updateState(state);
    this.#change(this.self, state);
  }

  /** @param {boolean} isRaised */
  raiseHand(isRaised) {
    if (!this.self) return;
    if (isRaised) this.#signaling.raiseHand();
    else this.#signaling.lowerHand();
    this.#change(this.self, { isHandRaised: isRaised });
  }

  /** @param {Message} message */
  #hear(message) {
    const id = message.participantId;
    switch (message.type) {
      case "participant-joined":
        this.#welcome(message);
        break;
      case "participant-updated": {
        const participant = this.#find(id);
        // Who waits concerns moderators alone, and one may have been one.
        if (id === this.#signaling.id && !message.isModerator) this.waiting.clear();
        if (participant) this.#change(participant, stateOf(message));
        return;
      }
      case "participant-left":
        this.waiting.delete(id);
        this.#remove(id);
        break;
      case "waiting-room":
        if (id === this.#signaling.id) {
          this.status = "waiting";
        } else if (!this.waiting.has(id)) {
          this.waiting.set(id, message.name);
          this.emit("knocked", { id, name: message.name });
        }
        break;
      case "room-locked":
      case "room-unlocked":
        this.isLocked = message.type === "room-locked";
        break;
      case "recording-started":
        this.recorders.add(message.startedBy);
        break;
      case "recording-stopped":
        this.recorders.delete(message.stoppedBy);
        break;
      default:
        return;
    }
    this.emit("change", undefined);
  }

  /** @param {ParticipantJoinedMessage} message */
  #welcome(message) {
    const { participantId: id, name } = message;
    this.waiting.delete(id);
    this.#unconfirmed.delete(id);
    const participant = { id, name, ...stateOf(message), ...(id === this.#signaling.id ? this.#unsent() : {}) };
    const known = this.#find(id);
    if (known) {
      this.#change(known, participant);
    } else if (id === this.#signaling.id) {
      this.self = participant;
      this.status = "inside";
      this.emit("entered", participant);
    } else {
      this.participants.set(id, participant);
      this.emit("joined", participant);
    }
  }

  /** How one has changed oneself since the server has heard of it. @returns {Partial<State>} */
  #unsent() {
    /** @type {Partial<State>} */
    const state = {};
    for (const { type, isMuted, isVideoOff, isHandRaised } of this.#signaling.unsent) {
      if (type === "raise-hand" || type === "lower-hand") state.isHandRaised = type === "raise-hand";
      if (type !== "participant-updated") continue;
      for (const [name, value] of Object.entries({ isMuted, isVideoOff, isHandRaised })) {
        if (typeof value === "boolean") Object.assign(state, { [name]: value });
      }
    }
    return state;
  }

  /** @param {Participant} participant @param {Partial<Participant>} state */
  #change(participant, state) {
    const before = { ...participant };
    Object.assign(participant, state);
    this.emit("updated", { participant, before });
    this.emit("change", undefined);
  }

  /** @param {string} id */
  #remove(id) {
    const participant = this.participants.get(id);
    this.recorders.delete(id);
    this.#unconfirmed.delete(id);
    if (!participant) return;
    this.participants.delete(id);
    this.emit("left", participant);
  }

  /** Everything there is follows. Whoever is in it has never been away, so that their media goes on. */
  #expectSnapshot() {
    this.#unconfirmed = new Set(this.participants.keys());
    this.#forgetState();
    this.#awaitSnapshot();
  }

  #awaitSnapshot() {
    clearTimeout(this.#snapshot);
    this.#snapshot = setTimeout(() => {
      for (const id of this.#unconfirmed) this.#remove(id);
      this.emit("change", undefined);
    }, SNAPSHOT);
  }

  /** One is somebody else now, and meets everyone for the first time. */
  #clear() {
    for (const id of [...this.participants.keys()]) this.#remove(id);
    clearTimeout(this.#snapshot);
    this.#unconfirmed.clear();
    this.#forgetState();
    this.self = null;
  }

  #forgetState() {
    this.waiting.clear();
    this.recorders.clear();
    this.isLocked = false;
  }

  /** @param {string} id */
  #find(id) {
    return this.self?.id === id ? this.self : this.participants.get(id);
  }
}

/** @param {State} message @returns {State} */
function stateOf({ isModerator, isHost, isMuted, isVideoOff, isHandRaised, isConnected }) {
  return { isModerator, isHost, isMuted, isVideoOff, isHandRaised, isConnected };
}
