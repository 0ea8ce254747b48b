/** @import { Kind } from "./peer.js" */
/** @import { Room } from "./room.js" */
/** @import { Signaling } from "./signaling.js" */
/** @import { Request } from "./messages.js" */
import { Emitter } from "./emitter.js";
import { ClosedError, QueueFullError } from "./errors.js";
import { Peer } from "./peer.js";

/** Milliseconds between two looks at each connection. */
const TEND = 2_000;
/** Bits a second that all videos may take together on their way out, and what one of them gets at least and at most. */
const UPLINK = 4_000_000;
const LEAST = 150_000;
const MOST = 1_700_000;

/**
 * The connections to everyone else in the room. They come and go with the participants; media, and what pages say to
 * each other, goes over them and never over the server.
 *
 * @extends {Emitter<{peer: Peer, gone: Peer}>}
 */
export class Peers extends Emitter {
  /** @type {Map<string, Peer>} */
  #peers = new Map();
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  #iceServers;
  #signaling;
  #room;
  #tending = 0;

  /**
   * @param {Signaling} signaling
   * @param {Room} room
   * @param {{iceServers?: RTCIceServer[]}} options `iceServers` as `GET /config` gives them
   */
  constructor(signaling, room, { iceServers = [] } = {}) {
    super();
    this.#signaling = signaling;
    this.#room = room;
    this.#iceServers = iceServers;
    room.on("joined", ({ id }) => this.#add(id));
    room.on("left", ({ id }) => this.#remove(id));
    for (const type of /** @type {const} */ (["offer", "answer", "ice-candidate"])) {
      signaling.on(type, (message) => this.#peers.get(message.participantId)?.hear(message));
    }
    signaling.on("ice-servers", ({ iceServers }) => this.setIceServers(iceServers));
    signaling.on("resumed", ({ replayed }) => this.#recover(replayed));
  }

  /** @param {string} id */
  get(id) {
    return this.#peers.get(id);
  }

  [Symbol.iterator]() {
    return this.#peers.values();
  }

  /**
   * Go by these from now on. What is connected stays so: they count when another way is looked for. The server's
   * `ice-servers` are taken without being asked for.
   *
   * @param {RTCIceServer[]} iceServers as `GET /config` gives them
   */
  setIceServers(iceServers) {
    this.#iceServers = iceServers;
    for (const peer of this) peer.setIceServers(iceServers);
  }

  /**
   * What everyone is sent from now on: a camera's track, a screen's, or null for nothing.
   *
   * @param {Kind} kind @param {MediaStreamTrack | null} track
   */
  setTrack(kind, track) {
    this.#tracks[kind] = track;
    for (const peer of this) peer.setTrack(kind, track);
  }

  /**
   * Say something to every page that can be spoken to.
   *
   * @param {Record<string, unknown>} data
   */
  send(data) {
    for (const peer of this) peer.send(data);
  }

  /** @param {string} id */
  #add(id) {
    const peer = new Peer(id, {
      isPolite: this.#signaling.id > id,
      iceServers: this.#iceServers,
      tracks: { ...this.#tracks },
      say: (message) => this.#say(message),
    });
    this.#peers.set(id, peer);
    this.#share();
    this.emit("peer", peer);
    this.#tending ||= setInterval(() => this.#tend(), TEND);
  }

  /** @param {string} id */
  #remove(id) {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.close();
    this.#peers.delete(id);
    this.#share();
    this.emit("gone", peer);
    if (this.#peers.size) return;
    clearInterval(this.#tending);
    this.#tending = 0;
  }

  /** What could not be said is said again when the connection is tended. @param {Request} message */
  #say(message) {
    try {
      this.#signaling.send(message);
    } catch (error) {
      if (!(error instanceof QueueFullError || error instanceof ClosedError)) throw error;
    }
  }

  /** Each gets its share of the way out, in a picture no larger than it will be shown. */
  #share() {
    const count = this.#peers.size;
    const bitrate = Math.round(Math.min(MOST, Math.max(LEAST, UPLINK / Math.max(1, count))));
    const scale = count < 2 ? 1 : count < 4 ? 1.5 : count < 9 ? 2 : 3;
    for (const peer of this) peer.limit({ bitrate, scale });
  }

  #tend() {
    for (const peer of this) {
      void peer.measure();
      if (!this.#signaling.isAway && this.#room.participants.get(peer.id)?.isConnected) peer.tend();
    }
  }

  /** Where something was missed, a description or a candidate may have been among it. @param {boolean} replayed */
  #recover(replayed) {
    for (const peer of this) {
      if (!replayed || peer.state === "interrupted") peer.restart();
    }
  }
}
