/** @import { Devices } from "./devices.js" */

/** From this level on somebody speaks, and for so many milliseconds after. */
const SPEECH = 0.03;
const PAUSE = 600;

/** How loud one's own microphone is. */
export class Microphone {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AnalyserNode | null} */
  #analyser = null;
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #samples = new Float32Array(512);
  #devices;

  /** @param {Devices} devices */
  constructor(devices) {
    this.#devices = devices;
  }

  /** From 0 to 1. */
  get level() {
    const track = this.#devices.tracks.audio;
    if (!track || this.#devices.isMuted) return 0;
    if (track !== this.#track && !this.#open(track)) return 0;
    this.#analyser?.getFloatTimeDomainData(this.#samples);
    return Math.max(...this.#samples.map(Math.abs));
  }

  close() {
    void this.#context?.close();
    this.#context = this.#analyser = this.#track = null;
  }

  /**
   * Not in a page that nobody has touched: it may not make sounds, and the browser complains of the attempt.
   *
   * @param {MediaStreamTrack} track
   */
  #open(track) {
    if (!(navigator.userActivation?.hasBeenActive ?? true)) return false;
    this.close();
    this.#track = track;
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = this.#samples.length;
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(this.#analyser);
    return true;
  }
}

/** Whether somebody speaks, told from levels: not every breath between two words is a silence. */
export class Speech {
  #last = -Infinity;

  /** @param {number} level @param {number} now milliseconds */
  hear(level, now) {
    if (level > SPEECH) this.#last = now;
    return now - this.#last < PAUSE;
  }
}
