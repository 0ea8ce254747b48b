/**
 * MikroRoom in a browser: the signaling client, and the peer layer on top of it.
 *
 *     import { Peers, Room, Signaling } from "https://meet.example.org/web/mikroroom.js";
 *
 *     const signaling = new Signaling("wss://meet.example.org/ws");
 *     const room = new Room(signaling);
 *     const peers = new Peers(signaling, room, { iceServers });
 *     peers.on("peer", (peer) => (videoOf(peer.id).srcObject = peer.stream));
 *     await signaling.join({ roomId: "ABC123", name: "Ada", isHost: true });
 *
 * docs/browser.md tells it all.
 */
export { Backoff } from "./client/backoff.js";
export { ClosedError, QueueFullError, RefusedError } from "./client/errors.js";
export { Peers } from "./client/peers.js";
export { Room } from "./client/room.js";
export { Signaling } from "./client/signaling.js";
