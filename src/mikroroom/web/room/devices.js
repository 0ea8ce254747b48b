import { Emitter } from "../client/emitter.js";
import { recall, remember } from "./memory.js";

/** @typedef {"audio" | "video"} Kind */

/** What is asked of a device: more than a tile needs costs every other end. */
const WISHES = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
};

const NAMES = { audio: "microphone", video: "camera" };

/**
 * `change` whenever anything is not as it was; `track` when another one is to be sent, or none.
 *
 * @extends {Emitter<{change: undefined, track: {kind: Kind, track: MediaStreamTrack | null}}>}
 */
export class Devices extends Emitter {
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  tracks = { audio: null, video: null };
  /** @type {MediaStreamTrack | null} The screen, or a window, that is shown instead of the camera. */
  screen = null;
  isMuted = false;
  isVideoOff = false;
  /** @type {Record<Kind, string>} What is wrong with each, as a sentence; empty if nothing is. */
  problems = { audio: "", video: "" };
  /** @type {Record<Kind | "speaker", string>} Ids of the devices chosen; empty for the browser's own choice. */
  chosen = { audio: "", video: "", speaker: "", ...recall("devices") };

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.emit("change", undefined));
  }

  /** Ask for what is not off. One question to the person, if both are asked for. */
  async start() {
    /** @type {Kind[]} */
    const kinds = [];
    if (!this.tracks.audio) kinds.push("audio");
    if (!this.tracks.video && !this.isVideoOff) kinds.push("video");
    if (!kinds.length) return;
    if (!(await this.#ask(kinds)) && kinds.length > 1) for (const kind of kinds) await this.#ask([kind]);
    if (!this.tracks.audio) this.isMuted = true;
    if (!this.tracks.video) this.isVideoOff = true;
    this.emit("change", undefined);
  }

  /** @param {boolean} isMuted */
  async setMuted(isMuted) {
    if (!isMuted && !this.tracks.audio) await this.#ask(["audio"]);
    this.isMuted = isMuted || !this.tracks.audio;
    if (this.tracks.audio) this.tracks.audio.enabled = !this.isMuted;
    this.emit("change", undefined);
  }

  /** A camera that is off is let go, so that its light goes out. @param {boolean} isVideoOff */
  async setVideoOff(isVideoOff) {
    if (isVideoOff) this.#drop("video");
    else if (!this.tracks.video) await this.#ask(["video"]);
    this.isVideoOff = !this.tracks.video;
    this.emit("change", undefined);
  }

  /**
   * Take another microphone, camera or speaker.
   *
   * @param {Kind | "speaker"} kind @param {string} id
   */
  async choose(kind, id) {
    this.chosen[kind] = id;
    remember("devices", this.chosen);
    const isOff = kind === "video" && this.isVideoOff;
    if (kind !== "speaker" && !isOff) {
      this.#drop(kind);
      await this.#ask([kind]);
    }
    this.emit("change", undefined);
  }

  /** The devices there are. @returns {Promise<MediaDeviceInfo[]>} */
  async list() {
    return (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  }

  /** Whether this browser can show its screen to others. */
  get canShare() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  /** Show a screen instead of the camera. Gives whether one was chosen. */
  async share() {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: false });
      this.screen = stream.getVideoTracks()[0];
    } catch (error) {
      // To choose nothing is no fault.
      if (error instanceof DOMException && error.name === "NotAllowedError") return false;
      throw error;
    }
    this.screen.contentHint = "detail";
    this.screen.onended = () => this.unshare();
    this.#tell("video");
    this.emit("change", undefined);
    return true;
  }

  unshare() {
    if (!this.screen) return;
    this.screen.onended = null;
    this.screen.stop();
    this.screen = null;
    this.#tell("video");
    this.emit("change", undefined);
  }

  /** Let go of everything. */
  stop() {
    this.unshare();
    this.#drop("audio");
    this.#drop("video");
  }

  /** What others are to see or hear. @param {Kind} kind */
  outgoing(kind) {
    return kind === "video" && this.screen ? this.screen : this.tracks[kind];
  }

  /** @param {Kind[]} kinds @returns {Promise<boolean>} */
  async #ask(kinds) {
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
      const stream = await this.#open(kinds);
      for (const track of stream.getTracks()) this.#take(track.kind === "audio" ? "audio" : "video", track);
      return true;
    } catch (error) {
      for (const kind of kinds) this.problems[kind] = problem(kind, error);
      return false;
    }
  }

  /** The devices that were chosen; or any, where they are not there this time. @param {Kind[]} kinds */
  async #open(kinds) {
    /** @param {(kind: Kind) => MediaTrackConstraints} wish */
    const open = (wish) => navigator.mediaDevices.getUserMedia(Object.fromEntries(kinds.map((kind) => [kind, wish(kind)])));
    const choice = (/** @type {Kind} */ kind) => (this.chosen[kind] ? { deviceId: { exact: this.chosen[kind] } } : {});
    try {
      return await open((kind) => ({ ...WISHES[kind], ...choice(kind) }));
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "OverconstrainedError")) throw error;
      return await open((kind) => WISHES[kind]);
    }
  }

  /** @param {Kind} kind @param {MediaStreamTrack} track */
  #take(kind, track) {
    this.#drop(kind);
    this.problems[kind] = "";
    this.tracks[kind] = track;
    if (kind === "audio") track.enabled = !this.isMuted;
    track.onended = () => {
      // Unplugged, or taken away by the person in the browser's own controls.
      this.problems[kind] = `Your ${NAMES[kind]} is gone.`;
      this.#drop(kind);
      if (kind === "audio") this.isMuted = true;
      else this.isVideoOff = true;
      this.emit("change", undefined);
    };
    this.#tell(kind);
  }

  /** @param {Kind} kind */
  #drop(kind) {
    const track = this.tracks[kind];
    if (!track) return;
    track.onended = null;
    track.stop();
    this.tracks[kind] = null;
    this.#tell(kind);
  }

  /** @param {Kind} kind */
  #tell(kind) {
    this.emit("track", { kind, track: this.outgoing(kind) });
  }
}

/** @param {Kind} kind @param {unknown} error */
function problem(kind, error) {
  const device = NAMES[kind];
  switch (error instanceof DOMException ? error.name : "") {
    case "SecurityError":
      return `The ${device} needs a page that came by HTTPS, or from localhost.`;
    case "NotAllowedError":
      return `This page may not use your ${device}. Allow it in the browser's address bar.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `There is no ${device}.`;
    case "NotReadableError":
      return `Your ${device} is used by another program.`;
    default:
      return `Your ${device} does not start.`;
  }
}
