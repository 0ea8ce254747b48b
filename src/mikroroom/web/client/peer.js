/** @import { AnswerMessage, IceCandidateMessage, OfferMessage, Request } from "./messages.js" */
import { Emitter } from "./emitter.js";
import { OutgoingFile, incomingFile } from "./files.js";
import { qualityOf } from "./quality.js";

/**
 * The channel for what the pages say to each other. Both make it under this number, which no channel that a page opens
 * by itself will get.
 */
const CHANNEL = { label: "mikroroom", id: 200 };
const FILE = "file";
const KINDS = /** @type {const} */ (["audio", "video"]);
/** A stranger may not open channels without end. */
const FILES = 16;

/** Milliseconds. An answer that has not come by then will not: the offer is said again. */
const ANSWER = 5_000;
/** Who should make the offer may not know that it should. */
const FIRST_OFFER = 8_000;
/** A first connection takes less, unless what was said about the ways has been lost. */
const FIRST_WAY = 8_000;
/** An interruption may pass by itself. */
const INTERRUPTION = 4_000;
/** Between two attempts to find another way to the other. */
const RESTART = 10_000;
/**
 * How long the impolite one and the polite one wait before they restart. What cuts off one often cuts off both, and of
 * two offers that cross one must be rolled back, which costs the picture (see `#renewVideo`).
 */
const COURTESY = { impolite: 300, polite: 4_000 };

/**
 * `data` is an object that the other page has said; `fault` what could not be done, mostly with what the other has sent.
 *
 * @typedef {{state: PeerState, data: Record<string, unknown>, file: import("./files.js").IncomingFile, quality: string,
 *   track: MediaStreamTrack, channel: undefined, fault: unknown}} PeerEvents
 * @typedef {"connecting" | "connected" | "interrupted"} PeerState
 * @typedef {"audio" | "video"} Kind
 *
 * `bitrate` is in bits a second; by `scale` width and height are divided, unless the track's hint is "detail", as a screen's.
 * @typedef {{bitrate: number, scale: number}} Limits
 */

/**
 * The connection to one other participant: what one sends, and what comes.
 *
 * Negotiates as in the pattern called perfect (W3C WebRTC, section 10.7): either may offer at any time, and of two offers
 * that cross, the polite one's gives way. So the polite one lets the other go first, where both have a reason to offer. The
 * participant with the smaller id makes the first offer and is the impolite one, which is what clients of the API reference
 * expect.
 *
 * @extends {Emitter<PeerEvents>}
 */
export class Peer extends Emitter {
  /** What comes from the other. */
  stream = new MediaStream();
  /** @type {PeerState} */
  state = "connecting";
  /** @type {import("./quality.js").Quality} */
  quality = "unknown";
  #connection;
  #isPolite;
  #say;
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks;
  /** @type {Partial<Record<Kind, RTCRtpSender>>} */
  #senders = {};
  /** @type {RTCDataChannel | null} */
  #channel = null;
  #files = 0;
  /** @type {Set<import("./files.js").Transfer>} Those under way. */
  #transfers = new Set();
  #work = Promise.resolve();
  #isIgnoring = false;
  #began = Date.now();
  #offered = 0;
  #interrupted = 0;
  #restarted = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} A restart that is to come. */
  #restarting;
  /** @type {Limits | null} */
  #limits = null;
  /** @type {import("./quality.js").Counters} */
  #counters = {};

  /**
   * @param {string} id the other's participant id
   * @param {{isPolite: boolean, iceServers: RTCIceServer[], tracks: Record<Kind, MediaStreamTrack | null>,
   *   say: (message: Request) => void}} options
   */
  constructor(id, { isPolite, iceServers, tracks, say }) {
    super();
    this.id = id;
    this.#isPolite = isPolite;
    this.#tracks = tracks;
    this.#say = say;
    this.#connection = new RTCPeerConnection({ iceServers });
    this.#connection.onnegotiationneeded = () => this.#then(() => this.#offer());
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate) say({ type: "ice-candidate", targetId: id, candidate: candidate.toJSON() });
    };
    this.#connection.ontrack = ({ track }) => {
      for (const former of this.stream.getTracks()) if (former.readyState === "ended") this.stream.removeTrack(former);
      this.stream.addTrack(track);
      this.emit("track", track);
    };
    this.#connection.onconnectionstatechange = () => this.#observe();
    this.#connection.ondatachannel = ({ channel }) => void this.#receive(channel);
    if (!isPolite) this.#start();
  }

  /**
   * What the other side has said.
   *
   * @param {OfferMessage | AnswerMessage | IceCandidateMessage} message
   */
  hear(message) {
    this.#then(() => this.#take(message));
  }

  /**
   * Send another track, or none; no negotiation is needed for it.
   *
   * @param {Kind} kind @param {MediaStreamTrack | null} track
   */
  setTrack(kind, track) {
    this.#tracks[kind] = track;
    this.#then(async () => {
      await this.#senders[kind]?.replaceTrack(track);
      await this.#shape();
    });
  }

  /**
   * By which servers to look for another way to the other, should one be needed.
   *
   * @param {RTCIceServer[]} iceServers
   */
  setIceServers(iceServers) {
    this.#then(async () => this.#connection.setConfiguration({ iceServers }));
  }

  /**
   * How much video to send at most.
   *
   * @param {Limits} limits
   */
  limit(limits) {
    this.#limits = limits;
    this.#then(() => this.#shape());
  }

  /** Whether the other page can be spoken to with `send`. */
  get isOpen() {
    return this.#channel?.readyState === "open";
  }

  /**
   * Say something to the other page, past the server. Gives whether it could be said.
   *
   * @param {Record<string, unknown>} data
   */
  send(data) {
    if (this.#channel?.readyState !== "open") return false;
    const text = JSON.stringify(data);
    try {
      this.#channel.send(text);
    } catch {
      // Too much waits already, or it is too big for the other.
      return false;
    }
    return true;
  }

  /**
   * Offer a file. Gives null where there is no way to send one: the other's page has no channel for it.
   *
   * @param {File} file
   */
  sendFile(file) {
    return this.isOpen ? this.#mind(new OutgoingFile(this.#connection.createDataChannel(FILE), file)) : null;
  }

  /** Find another way to the other, while the one that there is goes on; and say again what may have been lost. */
  restart() {
    this.#restarted = Date.now();
    this.#offered = 0;
    this.#restarting ??= setTimeout(
      () => {
        this.#restarting = undefined;
        this.#connection.restartIce();
      },
      this.#isPolite ? COURTESY.polite : COURTESY.impolite,
    );
  }

  /** See to what does not come by itself. To be called every few seconds, while the other can be told things. */
  tend() {
    const now = Date.now();
    const since = Math.max(this.#began, this.#restarted);
    const { signalingState, remoteDescription } = this.#connection;
    if (signalingState === "have-local-offer" && now - this.#offered > ANSWER) {
      this.#describe();
    } else if (!remoteDescription && signalingState === "stable" && now - this.#began > FIRST_OFFER) {
      this.#isPolite ? this.#start() : this.#then(() => this.#offer());
    } else if (this.state === "connecting" && remoteDescription && now - since > FIRST_WAY) {
      this.restart();
    } else if (this.#interrupted && now - this.#interrupted > INTERRUPTION && now - this.#restarted > RESTART) {
      this.restart();
    }
  }

  /** Find out how good the connection is. */
  async measure() {
    if (this.state === "connecting") return;
    const { quality, counters } = qualityOf(await this.#connection.getStats(), this.#counters);
    this.#counters = counters;
    if (quality === this.quality) return;
    this.quality = quality;
    this.emit("quality", quality);
  }

  /** How loud the other is just now, from 0 to 1. */
  get level() {
    const receivers = this.#connection.getReceivers().filter(({ track }) => track.kind === "audio");
    const sources = receivers.flatMap((receiver) => receiver.getSynchronizationSources());
    return Math.max(0, ...sources.map(({ audioLevel }) => audioLevel ?? 0));
  }

  close() {
    this.#letGo();
    this.#connection.close();
    // A connection that one closes oneself does not say so.
    for (const transfer of this.#transfers) transfer.fail();
  }

  /** The other has restarted; one's own is not needed any more. */
  #letGo() {
    clearTimeout(this.#restarting);
    this.#restarting = undefined;
  }

  /**
   * One thing at a time: a candidate must not overtake the description that it belongs to.
   *
   * @param {() => Promise<void>} task
   */
  #then(task) {
    this.#work = this.#work.then(task).catch((error) => {
      if (this.#connection.signalingState !== "closed") this.emit("fault", error);
    });
  }

  /** Make ready for all that will be sent, so that nothing has to be negotiated again for a camera or a screen. */
  #start() {
    for (const kind of KINDS) if (!this.#senders[kind]) this.#open(kind);
    this.#openChannel();
  }

  /** @param {Kind} kind */
  #open(kind) {
    const { sender } = this.#connection.addTransceiver(kind, { direction: "sendrecv", streams: [new MediaStream()] });
    this.#senders[kind] = sender;
    this.#then(() => sender.replaceTrack(this.#tracks[kind]));
  }

  #openChannel() {
    if (this.#channel) return;
    const { label, id } = CHANNEL;
    this.#channel = this.#connection.createDataChannel(label, { negotiated: true, id });
    this.#channel.onopen = () => this.emit("channel", undefined);
    this.#channel.onmessage = ({ data }) => {
      const said = objectOf(data);
      if (said) this.emit("data", said);
    };
  }

  async #offer() {
    // What is needed is asked for again by the browser once this negotiation has ended.
    if (this.#connection.signalingState !== "stable") return;
    if (this.#isPolite && !this.#connection.remoteDescription && !this.#senders.audio) return;
    await this.#connection.setLocalDescription();
    this.#describe();
  }

  #describe() {
    const description = this.#connection.localDescription;
    if (!description || (description.type !== "offer" && description.type !== "answer")) return;
    if (description.type === "offer") this.#offered = Date.now();
    this.#say({ type: description.type, targetId: this.id, sdp: description.sdp });
  }

  /** @param {OfferMessage | AnswerMessage | IceCandidateMessage} message */
  async #take(message) {
    const connection = this.#connection;
    switch (message.type) {
      case "offer":
        await this.#takeOffer(message.sdp);
        break;
      case "answer":
        // One that comes twice, because the offer did, says nothing new.
        if (connection.signalingState !== "have-local-offer") return;
        await connection.setRemoteDescription({ type: "answer", sdp: message.sdp });
        break;
      case "ice-candidate":
        await connection.addIceCandidate(message.candidate).catch((error) => {
          // One that belongs to an offer which was not taken.
          if (!this.#isIgnoring) throw error;
        });
        return;
    }
    await this.#shape();
  }

  /** @param {string} sdp */
  async #takeOffer(sdp) {
    const connection = this.#connection;
    const isCrossed = connection.signalingState !== "stable";
    this.#isIgnoring = isCrossed && !this.#isPolite;
    if (this.#isIgnoring) return;
    const hadVideo = connection.currentRemoteDescription !== null;
    await connection.setRemoteDescription({ type: "offer", sdp });
    this.#letGo();
    await this.#adopt();
    await connection.setLocalDescription();
    this.#describe();
    if (sdp.includes("\nm=application")) this.#openChannel();
    if (isCrossed && hadVideo) this.#renewVideo();
  }

  /**
   * Chromium shows no more frames of a video that came before an offer was rolled back (seen in 156), whatever follows.
   * So it is replaced by another one, which both ends then negotiate.
   */
  #renewVideo() {
    this.#connection.getTransceivers().find(({ sender }) => sender === this.#senders.video)?.stop();
    delete this.#senders.video;
    this.#open("video");
  }

  /** Send over what the other's offer has opened. */
  async #adopt() {
    const transceivers = this.#connection.getTransceivers().filter(({ direction }) => direction !== "stopped");
    for (const kind of KINDS) {
      // It was one that the other has replaced.
      if (!transceivers.some(({ sender }) => sender === this.#senders[kind])) delete this.#senders[kind];
    }
    for (const { sender, receiver, mid } of transceivers) {
      const kind = receiver.track.kind === "audio" ? "audio" : "video";
      if (this.#senders[kind] || mid === null) continue;
      this.#senders[kind] = sender;
      await sender.replaceTrack(this.#tracks[kind]);
    }
    for (const transceiver of transceivers) {
      if (Object.values(this.#senders).includes(transceiver.sender)) transceiver.direction = "sendrecv";
    }
  }

  async #shape() {
    const sender = this.#senders.video;
    const parameters = sender?.getParameters();
    if (!this.#limits || !sender || !parameters?.encodings?.length) return;
    const { bitrate, scale } = this.#limits;
    const isDetailed = this.#tracks.video?.contentHint === "detail";
    Object.assign(parameters.encodings[0], { maxBitrate: bitrate, scaleResolutionDownBy: isDetailed ? 1 : scale });
    await sender.setParameters(parameters);
  }

  /** @param {RTCDataChannel} channel */
  async #receive(channel) {
    if (channel.label !== FILE || this.#files >= FILES) {
      channel.close();
      return;
    }
    this.#files += 1;
    channel.addEventListener("close", () => (this.#files -= 1));
    const file = await incomingFile(channel);
    if (file) this.emit("file", this.#mind(file));
  }

  /** @template {import("./files.js").Transfer} T @param {T} transfer */
  #mind(transfer) {
    this.#transfers.add(transfer);
    transfer.on("change", () => {
      if (transfer.state === "done" || transfer.state === "failed") this.#transfers.delete(transfer);
    });
    return transfer;
  }

  #observe() {
    const { connectionState } = this.#connection;
    const isDown = connectionState === "disconnected" || connectionState === "failed";
    this.#interrupted = isDown ? this.#interrupted || Date.now() : 0;
    const state = isDown ? "interrupted" : connectionState === "connected" ? "connected" : this.state;
    if (state === this.state) return;
    this.state = state;
    this.emit("state", state);
  }
}

/** @param {unknown} data @returns {Record<string, unknown> | null} */
function objectOf(data) {
  try {
    const value = JSON.parse(String(data));
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}
