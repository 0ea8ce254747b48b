/** @import { Peer } from "../client/peer.js" */
/** @import { Peers } from "../client/peers.js" */
/** @import { Participant, Room } from "../client/room.js" */
/** @import { Devices } from "./devices.js" */
import { part, show } from "./dom.js";
import { tileSize } from "./layout.js";
import { Microphone } from "./levels.js";
import { Tile } from "./tile.js";

/** Milliseconds between two looks at who speaks. */
const LISTEN = 200;
/** The share of the stage that a shown screen takes, and the tiles beside it. */
const SPOTLIGHT = 0.78;

/** The tiles of everyone in the room. Who shows a screen is large, and the others stand beside. */
export class Stage {
  #root = part(document, "[data-stage]");
  #sound = part(document, "[data-sound]");
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #room;
  #peers;
  #devices;
  #microphone;
  #timer;
  #unlisten;
  #observer = new ResizeObserver(() => this.#arrange());

  /**
   * @param {Room} room
   * @param {Peers} peers
   * @param {Devices} devices
   */
  constructor(room, peers, devices) {
    this.#room = room;
    this.#peers = peers;
    this.#devices = devices;
    this.#microphone = new Microphone(devices);
    this.#observer.observe(this.#root);
    room.on("entered", (self) => this.#add(self));
    room.on("joined", (participant) => this.#add(participant));
    room.on("left", ({ id }) => this.#remove(id));
    room.on("updated", ({ participant }) => this.#update(participant.id));
    this.#unlisten = devices.on("change", () => {
      this.#showSelf();
      for (const tile of this.#tiles.values()) void tile.setSpeaker(devices.chosen.speaker);
    });
    this.#sound.onclick = () => {
      show(this.#sound, false);
      for (const tile of this.#tiles.values()) tile.play();
    };
    this.#timer = setInterval(() => this.#listen(), LISTEN);
  }

  /** @param {string} id @param {string} emoji */
  react(id, emoji) {
    this.#tiles.get(id)?.react(emoji);
  }

  /** @param {string} id @param {boolean} isSharing */
  setSharing(id, isSharing) {
    const tile = this.#tiles.get(id);
    if (!tile || tile.isSharing === isSharing) return;
    tile.isSharing = isSharing;
    this.#update(id);
    this.#arrange();
  }

  close() {
    clearInterval(this.#timer);
    this.#unlisten();
    this.#observer.disconnect();
    this.#microphone.close();
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    show(this.#sound, false);
  }

  /** @param {Participant} participant */
  #add(participant) {
    const isSelf = participant.id === this.#room.self?.id;
    const tile = new Tile(participant, { isSelf, onBlocked: () => show(this.#sound, true) });
    this.#tiles.get(participant.id)?.remove();
    this.#tiles.set(participant.id, tile);
    void tile.setSpeaker(this.#devices.chosen.speaker);
    this.#root.append(tile.element);
    // Peers heard of it before the stage did.
    const peer = this.#peers.get(participant.id);
    if (peer) this.#follow(peer, tile);
    if (isSelf) this.#showSelf();
    this.#arrange();
  }

  /** @param {string} id */
  #remove(id) {
    this.#tiles.get(id)?.remove();
    this.#tiles.delete(id);
    this.#arrange();
  }

  /** @param {Peer} peer @param {Tile} tile */
  #follow(peer, tile) {
    tile.stream = peer.stream;
    peer.on("track", () => tile.play());
    peer.on("state", () => this.#update(peer.id));
    peer.on("quality", () => (tile.quality = peer.quality));
  }

  #showSelf() {
    const self = this.#room.self;
    const tile = self && this.#tiles.get(self.id);
    if (!tile) return;
    const track = this.#devices.outgoing("video");
    const shown = track && this.#self?.getVideoTracks()[0] === track ? this.#self : track && new MediaStream([track]);
    this.#self = shown;
    tile.stream = shown;
    this.setSharing(self.id, Boolean(this.#devices.screen));
    this.#update(self.id);
  }

  /** @type {MediaStream | null} */
  #self = null;

  /** @param {string} id */
  #update(id) {
    this.#tiles.get(id)?.update(this.#peers.get(id)?.state ?? "connecting");
  }

  #listen() {
    const now = performance.now();
    for (const [id, tile] of this.#tiles) {
      tile.hear(tile.isSelf ? this.#microphone.level : (this.#peers.get(id)?.level ?? 0), now);
    }
  }

  #arrange() {
    const { clientWidth: width, clientHeight: height } = this.#root;
    if (!width || !height) return;
    const gap = Number.parseFloat(getComputedStyle(this.#root).columnGap) || 0;
    const sharing = [...this.#tiles.values()].filter((tile) => tile.isSharing).length;
    const others = this.#tiles.size - sharing;
    const isWide = width > height;
    const hasSpotlight = sharing > 0 && others > 0;
    const large = hasSpotlight
      ? { width: isWide ? width * SPOTLIGHT : width, height: isWide ? height : height * SPOTLIGHT }
      : { width, height };
    const side = isWide ? { width: width - large.width - gap, height } : { width, height: height - large.height - gap };
    this.#root.classList.toggle("spotlight", hasSpotlight);
    this.#root.classList.toggle("tall", !isWide);
    this.#size("--large", tileSize(hasSpotlight ? sharing : this.#tiles.size, large.width, large.height, gap));
    this.#size("--small", tileSize(Math.max(1, others), side.width, side.height, gap));
  }

  /** @param {string} name @param {{width: number, height: number}} size */
  #size(name, { width, height }) {
    this.#root.style.setProperty(`${name}-width`, `${width}px`);
    this.#root.style.setProperty(`${name}-height`, `${height}px`);
  }
}
