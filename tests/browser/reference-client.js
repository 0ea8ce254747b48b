/* A meeting client that knows the API reference and nothing beyond it.
 *
 * The first participant-joined is its own, every later one about somebody else. Of two participants the one
 * with the smaller id makes the offer. Fields that the reference does not name are not read, and messages of
 * types it does not name are passed over. Nothing here retries: what fails, fails the test.
 */
"use strict";

// As many decoded frames are a moving picture.
const FRAMES = 5;
const CAMERA = { audio: true, video: { width: 160, height: 120, frameRate: 15 } };
// Decoded frames change no event that one could await, so a page that waits looks again this often.
const LOOK_AGAIN_MS = 50;

/** Another participant, and the connection to it. */
class Peer {
  constructor(client, { participantId, name, isMuted }) {
    this.client = client;
    this.id = participantId;
    this.name = name;
    this.isMuted = isMuted;
    this.notes = [];
    this.before = { frames: 0, sound: 0 };
    this.connection = new RTCPeerConnection({ iceServers: client.iceServers });
    // Both ends make the channel, under a number agreed on beforehand: so neither waits for the other.
    this.channel = this.connection.createDataChannel("notes", { negotiated: true, id: 0 });
    this.channel.onmessage = ({ data }) => this.notes.push(data);
    this.tile = document.createElement("video");
    this.tile.autoplay = this.tile.muted = true;
    client.stand.append(this.tile);

    for (const track of client.camera.getTracks()) this.connection.addTrack(track, client.camera);
    this.connection.ontrack = ({ streams }) => (this.tile.srcObject = streams[0]);
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate) client.send("ice-candidate", { targetId: this.id, candidate: candidate.toJSON() });
    };
  }

  async offer() {
    await this.connection.setLocalDescription();
    this.client.send("offer", { targetId: this.id, sdp: this.connection.localDescription.sdp });
  }

  async answer(sdp) {
    await this.connection.setRemoteDescription({ type: "offer", sdp });
    await this.connection.setLocalDescription();
    this.client.send("answer", { targetId: this.id, sdp: this.connection.localDescription.sdp });
  }

  /** Frames of its video and seconds of its sound that have been decoded here. */
  async received() {
    const got = { frames: 0, sound: 0 };
    for (const report of (await this.connection.getStats()).values()) {
      if (report.type !== "inbound-rtp") continue;
      if (report.kind === "video") got.frames = report.framesDecoded ?? 0;
      if (report.kind === "audio") got.sound = report.totalSamplesDuration ?? 0;
    }
    return got;
  }

  close() {
    this.connection.close();
    this.tile.remove();
  }
}

class ReferenceClient {
  constructor(server, stand) {
    this.server = server;
    this.stand = stand;
    this.id = "";
    this.roomId = "";
    this.peers = new Map();
    this.waiting = new Map();
    this.isWaiting = false;
    this.chat = [];
    this.errors = [];
    this.types = [];
    this.faults = [];
    this.handling = Promise.resolve();
  }

  async createRoom() {
    const response = await fetch(`${this.server}/api/rooms`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ maxParticipants: 3 }),
    });
    return await response.json();
  }

  async configure() {
    const response = await fetch(`${this.server}/config`);
    this.iceServers = (await response.json()).iceServers;
  }

  async connect() {
    this.socket = new WebSocket(`${this.server.replace(/^http/, "ws")}/ws`);
    // One message at a time: a candidate must not overtake the description that it belongs to.
    this.socket.onmessage = ({ data }) => {
      this.handling = this.handling.then(() => this.handle(JSON.parse(data)));
    };
    await new Promise((resolve, reject) => {
      this.socket.onopen = () => resolve();
      this.socket.onerror = () => reject(new Error("The WebSocket did not open"));
    });
  }

  async join(roomId, name, more = {}) {
    this.camera = await navigator.mediaDevices.getUserMedia(CAMERA);
    await this.configure();
    await this.connect();
    this.roomId = roomId;
    this.send("join", { name, ...more });
  }

  leave() {
    this.send("leave");
    this.socket.onmessage = null;
    this.socket.close();
    for (const peer of this.peers.values()) peer.close();
    this.peers.clear();
  }

  say(text) {
    this.send("chat", { text });
  }

  mute() {
    for (const track of this.camera.getAudioTracks()) track.enabled = false;
    this.send("participant-updated", { isMuted: true, isVideoOff: false, isHandRaised: false });
  }

  lock() {
    this.send("room-locked");
  }

  admit(targetId) {
    this.send("admit-user", { targetId });
  }

  note(peerId, text) {
    this.peers.get(peerId).channel.send(text);
  }

  send(type, fields = {}) {
    const base = { type, roomId: this.roomId, participantId: this.id, timestamp: Date.now() };
    this.socket.send(JSON.stringify({ ...base, ...fields }));
  }

  async handle(message) {
    this.types.push(message.type);
    const peer = this.peers.get(message.participantId);
    switch (message.type) {
      case "participant-joined":
        return await this.welcome(message);
      case "participant-left":
        this.waiting.delete(message.participantId);
        this.peers.delete(message.participantId);
        return peer?.close();
      case "participant-updated":
        if (peer) peer.isMuted = message.isMuted;
        return;
      case "waiting-room":
        if (this.id) this.waiting.set(message.participantId, message.name);
        else this.isWaiting = true;
        return;
      case "offer":
        return await peer.answer(message.sdp);
      case "answer":
        return await peer.connection.setRemoteDescription({ type: "answer", sdp: message.sdp });
      case "ice-candidate":
        return await peer.connection.addIceCandidate(message.candidate);
      case "chat":
        this.chat.push([message.participantId, message.text]);
        return;
      case "error":
        this.errors.push(message.code);
    }
  }

  async welcome(message) {
    if (!this.id) {
      this.id = message.participantId;
      this.isWaiting = false;
      return;
    }
    this.waiting.delete(message.participantId);
    const peer = new Peer(this, message);
    this.peers.set(peer.id, peer);
    if (this.id < peer.id) await peer.offer();
  }

  /** Comes back once `holds` gives something true, with that. Throws as soon as anything went wrong. */
  async until(holds) {
    for (;;) {
      if (this.faults.length) throw new Error(this.faults.join("; "));
      const result = await holds();
      if (result) return result;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  /** From now on only what is still to come counts as seen and heard. */
  async look() {
    for (const peer of this.peers.values()) peer.before = await peer.received();
  }

  /** Whether everyone else here, being these, can be seen, heard and written to. */
  async meets(...ids) {
    if ([...this.peers.keys()].sort().join() !== ids.sort().join()) return false;
    for (const peer of this.peers.values()) {
      const { frames, sound } = await peer.received();
      const isSeen = frames >= peer.before.frames + FRAMES && peer.tile.videoWidth > 0;
      const isHeard = sound > peer.before.sound;
      if (!isSeen || !isHeard || peer.channel.readyState !== "open") return false;
    }
    return true;
  }

  /** What this page has been through, for whoever has to find out why a test failed. */
  async account() {
    const peers = [];
    for (const peer of this.peers.values()) {
      const { connectionState, iceConnectionState, signalingState } = peer.connection;
      const channel = peer.channel.readyState;
      const received = await peer.received();
      const states = { connectionState, iceConnectionState, signalingState, channel };
      peers.push({ name: peer.name, ...states, ...received });
    }
    const { id, isWaiting, errors, types, faults } = this;
    return { id, isWaiting, errors, types, peers, faults };
  }
}
