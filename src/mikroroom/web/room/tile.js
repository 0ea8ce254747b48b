/** @import { Participant } from "../client/room.js" */
/** @import { PeerState } from "../client/peer.js" */
import { copy, find, paint, part, show, write } from "./dom.js";
import { Speech } from "./levels.js";

const QUALITIES = { unknown: "", good: "Good connection", fair: "Fair connection", poor: "Poor connection" };

/** How long a reaction floats, in milliseconds. */
const FLOAT = 3_000;

/** One person on the stage. */
export class Tile {
  element = copy("tile-template");
  isSharing = false;
  #video = find(this.element, "video", HTMLVideoElement);
  #avatar = part(this.element, ".avatar");
  #note = part(this.element, "[data-note]");
  #speech = new Speech();
  #participant;

  /**
   * @param {Participant} participant
   * @param {{isSelf: boolean, onBlocked: () => void}} options `onBlocked`: the browser wants a click before it plays sound
   */
  constructor(participant, { isSelf, onBlocked }) {
    this.#participant = participant;
    this.isSelf = isSelf;
    this.onBlocked = onBlocked;
    this.element.classList.toggle("self", isSelf);
    this.#video.muted = isSelf;
    // Remote videos can be found by their participant's id.
    if (!isSelf) this.element.dataset.participantId = participant.id;
    // A picture that has just begun shows its true shape only now.
    this.#video.onresize = () => this.element.classList.toggle("upright", this.#video.videoHeight > this.#video.videoWidth);
    this.update("connecting");
  }

  /** @param {MediaStream | null} stream */
  set stream(stream) {
    if (this.#video.srcObject === stream) return;
    this.#video.srcObject = stream;
    if (stream) this.play();
  }

  /** Where its sound goes. @param {string} id a device's; empty for the browser's own choice */
  async setSpeaker(id) {
    if (this.isSelf || !this.#video.setSinkId || this.#video.sinkId === id) return;
    // One that is gone by now: the sound stays where it is.
    await this.#video.setSinkId(id).catch(() => {});
  }

  play() {
    this.#video.play().catch((error) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") this.onBlocked();
    });
  }

  /** @param {PeerState} state */
  update(state) {
    const { name, isMuted, isVideoOff, isHandRaised, isConnected } = this.#participant;
    const shown = this.isSelf ? `${name} (you)` : name;
    this.element.setAttribute("aria-label", shown);
    write(part(this.element, "[data-name]"), shown);
    paint(this.#avatar, name);
    this.element.classList.toggle("dark", isVideoOff && !this.isSharing);
    this.element.classList.toggle("sharing", this.isSharing);
    show(part(this.element, "[data-muted]"), isMuted);
    show(part(this.element, "[data-hand]"), isHandRaised);
    const note = this.isSelf ? "" : !isConnected ? "Reconnecting…" : NOTES[state];
    write(this.#note, note);
    show(this.#note, Boolean(note));
  }

  /** @param {keyof typeof QUALITIES} quality */
  set quality(quality) {
    const bars = part(this.element, "[data-quality]");
    bars.dataset.quality = quality;
    bars.title = QUALITIES[quality];
    write(part(bars, ".sr"), QUALITIES[quality]);
    show(bars, quality !== "unknown");
  }

  /** @param {number} level @param {number} now */
  hear(level, now) {
    const isSpeaking = this.#speech.hear(level, now) && !this.#participant.isMuted;
    this.element.classList.toggle("speaking", isSpeaking);
  }

  /** @param {string} emoji */
  react(emoji) {
    const float = document.createElement("span");
    float.className = "float";
    float.textContent = emoji;
    float.setAttribute("aria-hidden", "true");
    this.element.append(float);
    setTimeout(() => float.remove(), FLOAT);
  }

  remove() {
    this.#video.srcObject = null;
    this.element.remove();
  }
}

/** @type {Record<PeerState, string>} */
const NOTES = { connecting: "Connecting…", connected: "", interrupted: "Connection interrupted…" };
