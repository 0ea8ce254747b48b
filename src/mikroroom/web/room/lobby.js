/** @import { Entry } from "../client/place.js" */
/** @import { Devices } from "./devices.js" */
import { button, find, paint, part, relabel, show, write } from "./dom.js";
import { Microphone } from "./levels.js";
import { recall, remember } from "./memory.js";
import { deviceLists } from "./settings.js";

const SIZES = [2, 3, 4, 5, 6, 8, 10, 12, 16, 25, 50, 100];
const USUAL_SIZE = 8;
/** Milliseconds between two looks at the microphone. */
const LISTEN = 100;

/** Where one looks at oneself before one enters, and says who one is. */
export class Lobby {
  #root = part(document, "#lobby");
  #form = find(this.#root, "[data-enter]", HTMLFormElement);
  #name = find(this.#form, "[name=name]", HTMLInputElement);
  #password = find(this.#form, "[name=password]", HTMLInputElement);
  #size = find(this.#form, "[name=size]", HTMLSelectElement);
  #problem = part(this.#form, "[data-problem]");
  #submit = button(this.#form, "[data-submit]");
  #preview = find(this.#root, "[data-preview]", HTMLVideoElement);
  #mute = button(this.#root, "[data-mute]");
  #camera = button(this.#root, "[data-camera]");
  #devices;
  #microphone;
  #showDevices;
  #timer = 0;
  #code = "";
  #isMaker = false;

  /**
   * @param {Devices} devices
   * @param {{onEnter: (entry: Entry) => Promise<void>, onBack: () => void}} options
   */
  constructor(devices, { onEnter, onBack }) {
    this.#devices = devices;
    this.#microphone = new Microphone(devices);
    this.#showDevices = deviceLists(part(this.#root, "[data-devices]"), devices);
    this.#size.replaceChildren(...SIZES.map((size) => new Option(String(size))));
    this.#size.value = String(USUAL_SIZE);
    this.#name.value = recall("name") ?? "";
    this.#name.oninput = () => this.#paint();
    this.#mute.onclick = () => void devices.setMuted(!devices.isMuted);
    this.#camera.onclick = () => void devices.setVideoOff(!devices.isVideoOff);
    button(this.#form, "[data-back]").onclick = onBack;
    devices.on("change", () => this.#show());
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      void this.#enter(onEnter);
    };
  }

  /**
   * @param {string} code
   * @param {{isMaker: boolean, problem?: string, asksPassword?: boolean}} options
   */
  open(code, { isMaker, problem = "", asksPassword = false }) {
    this.#code = code;
    this.#isMaker = isMaker;
    write(part(this.#form, "[data-title]"), isMaker ? "Your new meeting" : "Ready to enter?");
    write(part(this.#form, "[data-lead]"), `Meeting ${code}. ${isMaker ? "It begins when you enter." : ""}`);
    this.#password.value = "";
    show(part(this.#form, "[data-size]"), isMaker);
    this.#askPassword(isMaker || asksPassword, !isMaker);
    this.tell(problem);
    void this.#devices.start().then(() => this.#show());
    this.#show();
    this.#timer ||= setInterval(() => this.#listen(), LISTEN);
  }

  close() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#microphone.close();
    this.#preview.srcObject = null;
  }

  /** The room wants a password, or another one. */
  askPassword() {
    this.#askPassword(true, true);
    this.tell(this.#password.value ? "That is not the password." : "This meeting asks for a password.");
    this.#password.focus();
  }

  /** @param {string} problem */
  tell(problem) {
    write(this.#problem, problem);
    show(this.#problem, Boolean(problem));
  }

  /** @param {boolean} isAsked @param {boolean} isRequired */
  #askPassword(isAsked, isRequired) {
    show(part(this.#form, "[data-password]"), isAsked);
    show(part(this.#form, "[data-optional]"), !isRequired);
    this.#password.required = isAsked && isRequired;
  }

  /** @param {(entry: Entry) => Promise<void>} onEnter */
  async #enter(onEnter) {
    const name = this.#name.value.trim();
    if (!name) {
      this.tell("Say who you are.");
      this.#name.focus();
      return;
    }
    remember("name", name);
    this.tell("");
    this.#submit.disabled = true;
    try {
      await onEnter({
        roomId: this.#code,
        name,
        ...(this.#password.value ? { password: this.#password.value } : {}),
        ...(this.#isMaker ? { isHost: true, maxParticipants: Number(this.#size.value) } : {}),
      });
    } finally {
      this.#submit.disabled = false;
    }
  }

  #show() {
    if (!this.#timer) return;
    const { isMuted, isVideoOff, problems, tracks } = this.#devices;
    relabel(this.#mute, isMuted ? "mic-off" : "mic", isMuted ? "Unmute" : "Mute");
    relabel(this.#camera, isVideoOff ? "camera-off" : "camera", isVideoOff ? "Start camera" : "Stop camera");
    this.#mute.classList.toggle("off", isMuted);
    this.#camera.classList.toggle("off", isVideoOff);
    part(this.#root, ".mirror").classList.toggle("dark", !tracks.video);
    const shown = this.#preview.srcObject instanceof MediaStream ? this.#preview.srcObject.getVideoTracks()[0] : null;
    if (shown !== tracks.video) this.#preview.srcObject = tracks.video && new MediaStream([tracks.video]);
    const problem = summary(problems.video, problems.audio);
    write(part(this.#root, "[data-media-problem]"), problem);
    show(part(this.#root, "[data-media-problem]"), Boolean(problem));
    this.#paint();
    void this.#showDevices();
  }

  #paint() {
    paint(part(this.#root, "[data-avatar]"), this.#name.value || "?");
  }

  #listen() {
    part(this.#root, "[data-meter]").style.setProperty("--level", String(Math.min(1, this.#microphone.level * 2)));
  }
}

/** One sentence where the same is wrong with both. @param {string} video @param {string} audio */
function summary(video, audio) {
  const isSame = video.replace("camera", "microphone") === audio;
  return isSame ? video.replace("camera", "camera or microphone") : `${video} ${audio}`.trim();
}
