/** @import { ErrorMessage, ModeratorActionMessage } from "../client/messages.js" */
/** @import { Entry } from "../client/place.js" */
/** @import { Peer } from "../client/peer.js" */
/** @import { Participant } from "../client/room.js" */
/** @import { Devices } from "./devices.js" */
/** @import { Ending } from "./endings.js" */
/** @import { IceConfiguration } from "./ice.js" */
/** @import { Notices } from "./notices.js" */
import { Peers, Room, Signaling } from "../mikroroom.js";
import { Chat } from "./chat.js";
import { linkTo } from "./codes.js";
import { button, part, relabel, show, write } from "./dom.js";
import { Door } from "./door.js";
import { LEFT, endingOf } from "./endings.js";
import { rememberVisit } from "./memory.js";
import { Participants } from "./participants.js";
import { Stage } from "./stage.js";
import { Toolbar, isReaction } from "./toolbar.js";

/** Milliseconds after entering in which those who are there already are no news. */
const ARRIVAL = 1_500;

/**
 * One visit to one meeting, from the first `join` to the end: what the page shows of it, and what its buttons do.
 */
export class Meeting {
  #root = part(document, "#meeting");
  #lock = button(this.#root, "[data-lock]");
  #signaling;
  #room;
  #peers;
  #stage;
  #chat;
  #devices;
  #notices;
  #options;
  #code = "";
  #newsFrom = Infinity;
  #isSharing = false;
  #rejection = "";
  /** @type {WakeLockSentinel | null} */
  #awake = null;
  /** @type {(() => void)[]} */
  #unlisten;

  /**
   * @param {{server: URL, ice: IceConfiguration, devices: Devices, notices: Notices,
   *   onStatus: (status: "waiting" | "inside") => void, onEnd: (ending: Ending, isByChoice: boolean) => void}} options
   */
  constructor(options) {
    const { server, devices, notices } = options;
    this.#options = options;
    this.#devices = devices;
    this.#notices = notices;
    this.#signaling = new Signaling(server);
    this.#room = new Room(this.#signaling);
    this.#peers = new Peers(this.#signaling, this.#room);
    this.#stage = new Stage(this.#room, this.#peers, devices);
    this.#chat = new Chat(this.#signaling, this.#room, this.#peers, notices);
    new Participants(this.#signaling, this.#room);
    new Door(this.#signaling, this.#room);
    const toolbar = new Toolbar(this.#room, this.#peers, devices, this.#chat, notices, {
      onReact: (emoji) => this.#stage.react(this.#signaling.id, emoji),
      onLeave: () => this.leave(),
    });
    this.#unlisten = [
      () => toolbar.close(),
      devices.on("track", ({ kind, track }) => this.#peers.setTrack(kind, track)),
      devices.on("change", () => this.#tellState()),
    ];
    for (const kind of /** @type {const} */ (["audio", "video"])) this.#peers.setTrack(kind, devices.outgoing(kind));
    button(this.#root, "[data-invite]").onclick = () => void this.#invite();
    this.#lock.onclick = () => (this.#room.isLocked ? this.#signaling.unlock() : this.#signaling.lock());
    this.#listen();
  }

  /**
   * Enter. Throws what `Signaling.join` throws, after which one may try again.
   *
   * @param {Entry & {resumeTokens?: string[]}} how @param {RTCIceServer[]} iceServers
   */
  async enter(how, iceServers) {
    this.#peers.setIceServers(iceServers);
    this.#code = how.roomId;
    write(part(this.#root, "[data-code]"), how.roomId);
    this.#show();
    await this.#signaling.join(how);
  }

  leave() {
    this.#signaling.leave();
    this.#end(LEFT, true);
  }

  /** Let go of all of it; the devices are somebody else's. */
  close() {
    for (const unlisten of this.#unlisten) unlisten();
    this.#signaling.leave();
    this.#stage.close();
    this.#chat.close();
    void this.#awake?.release();
  }

  #listen() {
    const signaling = this.#signaling;
    const room = this.#room;
    signaling.on("place", (ticket) => rememberVisit(this.#code, ticket ?? { resumeTokens: undefined }));
    signaling.on("suspended", () => this.#showAway(true));
    signaling.on("resumed", () => this.#showAway(false));
    signaling.on("rejoined", () => {
      this.#showAway(false);
      void this.#renewIce();
    });
    signaling.on("reject-user", ({ reason }) => (this.#rejection = reason));
    signaling.on("closed", (error) => this.#end(endingOf(error, this.#rejection), false));
    signaling.on("error", (refusal) => this.#tellRefusal(refusal));
    signaling.on("moderator-action", (action) => this.#obey(action));
    room.on("change", () => this.#show());
    room.on("entered", () => {
      this.#newsFrom = performance.now() + ARRIVAL;
      void this.#stayAwake();
    });
    room.on("joined", ({ name }) => this.#tellNews(`${name} has come in`));
    room.on("left", ({ name }) => this.#tellNews(`${name} has left`));
    room.on("knocked", ({ name }) => this.#notices.announce(`${name} waits to come in`));
    room.on("updated", ({ participant, before }) => this.#tellUpdate(participant, before));
    this.#peers.on("peer", (peer) => this.#talkTo(peer));
  }

  /** To the server one is new here, and has just asked. In truth one may have been away for a day. */
  async #renewIce() {
    this.#peers.setIceServers(await this.#options.ice.take());
  }

  #show() {
    const { isLocked, isModerator, recorders, status } = this.#room;
    if (status !== "outside") this.#options.onStatus(status);
    relabel(this.#lock, isLocked ? "unlock" : "lock", isLocked ? "Unlock meeting" : "Lock meeting");
    show(this.#lock, isModerator);
    show(part(this.#root, "[data-locked]"), isLocked && !isModerator);
    const names = [...recorders].map((id) => this.#room.nameOf(id) || "Somebody").join(", ");
    write(part(this.#root, "[data-recording]"), names && `Recorded by ${names}`);
    show(part(this.#root, "[data-recording]"), Boolean(names));
    this.#tellState();
  }

  /** @param {boolean} isAway */
  #showAway(isAway) {
    show(part(this.#root, "[data-away]"), isAway);
    this.#newsFrom = isAway ? Infinity : performance.now() + ARRIVAL;
  }

  // What others are told

  #tellState() {
    const { isMuted, isVideoOff, screen } = this.#devices;
    const state = { isMuted, isVideoOff: isVideoOff && !screen };
    const { self } = this.#room;
    rememberVisit(this.#code, { isMuted, isVideoOff });
    if (self && (self.isMuted !== state.isMuted || self.isVideoOff !== state.isVideoOff)) this.#room.update(state);
    if (this.#isSharing === Boolean(screen)) return;
    this.#isSharing = Boolean(screen);
    this.#peers.send({ type: "sharing", isSharing: this.#isSharing });
  }

  /** What the server does not pass on, the pages tell each other. @param {Peer} peer */
  #talkTo(peer) {
    peer.on("channel", () => {
      if (this.#isSharing) peer.send({ type: "sharing", isSharing: true });
    });
    peer.on("data", ({ type, isSharing, emoji }) => {
      if (type === "sharing") this.#setSharing(peer.id, Boolean(isSharing));
      if (type === "reaction" && isReaction(emoji)) this.#react(peer.id, String(emoji));
    });
  }

  /** @param {string} id @param {boolean} isSharing */
  #setSharing(id, isSharing) {
    this.#stage.setSharing(id, isSharing);
    if (isSharing) this.#notices.announce(`${this.#room.nameOf(id)} shows a screen`);
  }

  /** @param {string} id @param {string} emoji */
  #react(id, emoji) {
    this.#stage.react(id, emoji);
    this.#notices.announce(`${this.#room.nameOf(id)}: ${emoji}`);
  }

  async #invite() {
    const link = linkTo(this.#code);
    try {
      await navigator.clipboard.writeText(link);
      this.#notices.tell("Invite link copied");
    } catch {
      // No clipboard without HTTPS, or without permission.
      this.#notices.tell(`Invite with ${link}`, { label: "Done", act() {} });
    }
  }

  // What one is told

  /** @param {string} text */
  #tellNews(text) {
    if (performance.now() > this.#newsFrom) this.#notices.tell(text);
  }

  /** @param {Participant} participant @param {Participant} before */
  #tellUpdate(participant, before) {
    const { name, isHandRaised, isHost } = participant;
    const isSelf = participant === this.#room.self;
    if (isHandRaised && !before.isHandRaised && !isSelf) this.#notices.tell(`${name} raises a hand`);
    if (isHost && !before.isHost) this.#notices.tell(isSelf ? "You are the host now" : `${name} is the host now`);
  }

  /** @param {ModeratorActionMessage} action */
  #obey({ action, participantId }) {
    const by = this.#room.nameOf(participantId) || "A moderator";
    if (action === "mute") {
      void this.#devices.setMuted(true);
      this.#notices.tell(`${by} has muted you`);
    } else if (action === "unmute") {
      // A microphone is opened by whom it belongs to, and by nobody else.
      if (!this.#devices.isMuted) return;
      this.#notices.tell(`${by} asks you to speak`, { label: "Unmute now", act: () => void this.#devices.setMuted(false) });
    } else if (action === "make-moderator" && participantId) {
      this.#notices.tell(`${by} has made you a moderator`);
    }
  }

  /** @param {ErrorMessage} refusal */
  #tellRefusal({ code, message, requestType }) {
    // Media finds another way, or says so itself; and a join is answered where it was asked for.
    if (requestType && ["join", "offer", "answer", "ice-candidate"].includes(requestType)) return;
    const isUndelivered = requestType === "chat" && code === "TARGET_NOT_FOUND";
    this.#notices.tell(isUndelivered ? "Your message was not delivered: its receiver has left." : message);
  }

  /** @param {Ending} ending @param {boolean} isByChoice */
  #end(ending, isByChoice) {
    this.close();
    this.#options.onEnd(ending, isByChoice);
  }

  /** A phone that is looked at must not go dark. */
  async #stayAwake() {
    try {
      this.#awake = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      // Not granted while the page is not seen, or the battery low: so be it.
      this.#awake = null;
    }
  }
}
