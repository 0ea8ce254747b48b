import { Peers, Room, Signaling } from "/meet/web/mikroroom.js";

const code = location.pathname.split("/").pop();
const { iceServers } = await (await fetch("/meet/config")).json();
// The browser sends the site's cookies with the WebSocket's handshake, as with any request.
const signaling = new Signaling(`${location.origin.replace("http", "ws")}/meet/ws`);
const room = new Room(signaling);
const peers = new Peers(signaling, room, { iceServers });

const button = document.querySelector("#join");
const people = document.querySelector("#people");
const status = document.querySelector("#status");

room.on("change", () => {
  const all = [room.self, ...room.participants.values()].filter(Boolean);
  people.replaceChildren(...all.map(({ name, isModerator }) => entry(isModerator ? `${name} (moderates)` : name)));
});
peers.on("peer", (peer) => show(peer.id, peer.stream));
peers.on("gone", (peer) => document.getElementById(peer.id)?.remove());
signaling.on("suspended", () => (status.textContent = "The connection is lost. Coming back…"));
signaling.on("resumed", () => (status.textContent = "You are in"));
signaling.on("closed", (error) => leave(error.message));

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    await bringCamera();
    await signaling.join({ roomId: code });
    status.textContent = "You are in";
  } catch (error) {
    leave(error.message); // the site's own words, where it has said no
  }
});
button.disabled = false; // now that somebody listens

async function bringCamera() {
  try {
    const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of camera.getTracks()) peers.setTrack(track.kind, track);
  } catch {
    // One may take part without.
  }
}

function entry(text) {
  return Object.assign(document.createElement("li"), { textContent: text });
}

function show(id, stream) {
  const video = { id, srcObject: stream, autoplay: true, playsInline: true, width: 320 };
  document.querySelector("#videos").append(Object.assign(document.createElement("video"), video));
}

function leave(why) {
  status.textContent = why;
  button.disabled = false;
}
