/**
 * What client and server say to each other (docs/protocol.md), as types only: nothing here runs, and no page loads it.
 *
 * @typedef {"mute" | "unmute" | "kick" | "make-moderator"} Action
 *
 * What every message of the server has. `participantId` is who did it or whom it is about, and empty for the server;
 * `timestamp` is in milliseconds since the epoch; `seq` numbers what a client hears that may come back.
 * @typedef {{roomId: string, participantId: string, timestamp: number, seq?: number}} Base
 *
 * @typedef {{isModerator: boolean, isHost: boolean, isMuted: boolean, isVideoOff: boolean, isHandRaised: boolean,
 *   isConnected: boolean}} State
 *
 * How one may come back; only in one's own messages.
 * @typedef {{resumeToken?: string, resumeWindow?: number, resumed?: boolean, replayed?: boolean,
 *   lastClientSeq?: number}} Return
 *
 * @typedef {Base & State & Return & {type: "participant-joined", name: string, creatorToken?: string}} ParticipantJoined
 * @typedef {Base & State & {type: "participant-updated"}} ParticipantUpdated
 * @typedef {Base & {type: "participant-left"}} ParticipantLeft
 * @typedef {Base & Return & {type: "waiting-room", name: string}} WaitingRoom
 * @typedef {Base & {type: "moderator-action", targetId: string, action: Action}} ModeratorAction
 * @typedef {Base & {type: "room-locked", lockedBy: string}} RoomLocked
 * @typedef {Base & {type: "room-unlocked", unlockedBy: string}} RoomUnlocked
 * @typedef {Base & {type: "reject-user", targetId: string, reason: string}} RejectUser
 * @typedef {Base & {type: "raise-hand" | "lower-hand"}} Hand
 * @typedef {Base & {type: "recording-started", startedBy: string}} RecordingStarted
 * @typedef {Base & {type: "recording-stopped", stoppedBy: string}} RecordingStopped
 * @typedef {Base & {type: "chat", text: string, messageId: string, replyTo?: string, targetId?: string,
 *   isHistory?: boolean, name?: string}} Chat
 * @typedef {Base & {type: "message-deleted", messageId: string, deletedBy: string}} MessageDeleted
 * @typedef {Base & {type: "offer" | "answer", targetId: string, sdp: string}} Description
 * @typedef {Base & {type: "ice-candidate", targetId: string, candidate: RTCIceCandidateInit | null}} IceCandidate
 * @typedef {Base & {type: "file-offer", targetId: string, fileName: string, fileSize: number, fileType: string}} FileOffer
 * @typedef {Base & {type: "file-answer", targetId: string, accepted: boolean}} FileAnswer
 * @typedef {Base & {type: "file-chunk", targetId: string, chunk: string, index: number, total: number}} FileChunk
 * @typedef {Base & {type: "quality-change", targetId: string, quality: string}} QualityChange
 * @typedef {Base & {type: "ice-servers", iceServers: RTCIceServer[], ttl: number}} IceServers
 * @typedef {Base & {type: "error", code: string, message: string, requestType?: string}} ErrorMessage
 *
 * @typedef {ParticipantJoined | ParticipantUpdated | ParticipantLeft | WaitingRoom | ModeratorAction | RoomLocked
 *   | RoomUnlocked | RejectUser | Hand | RecordingStarted | RecordingStopped | Chat | MessageDeleted | Description | IceCandidate
 *   | FileOffer | FileAnswer | FileChunk | QualityChange | IceServers | ErrorMessage} Message
 *
 * One's own answer to a `join`.
 * @typedef {ParticipantJoined | WaitingRoom} Own
 *
 * How to enter a room. `isHost` makes it if there is none, with `password` and `maxParticipants`. `name` may be left
 * out where a token or the site brings one.
 * @typedef {{roomId: string, name?: string, password?: string, isHost?: boolean, creatorToken?: string,
 *   token?: string, maxParticipants?: number}} Entry
 *
 * @typedef {Partial<Entry> & {resume?: boolean, resumeToken?: string, lastSeq?: number, restart?: boolean}} Join
 *
 * What a client sends but for `join`.
 * @typedef {{type: "leave" | "raise-hand" | "lower-hand" | "recording-started" | "recording-stopped" | "room-locked"
 *     | "room-unlocked"}
 *   | {type: "chat", text: string, replyTo?: string, targetId?: string}
 *   | {type: "delete-message", messageId: string}
 *   | {type: "participant-updated", isMuted?: boolean, isVideoOff?: boolean, isHandRaised?: boolean}
 *   | {type: "moderator-action", targetId: string, action: Action}
 *   | {type: "admit-user", targetId: string}
 *   | {type: "reject-user", targetId: string, reason?: string}
 *   | {type: "offer" | "answer", targetId: string, sdp: string}
 *   | {type: "ice-candidate", targetId: string, candidate: RTCIceCandidateInit | null}
 *   | {type: "file-offer", targetId: string, fileName: string, fileSize: number, fileType: string}
 *   | {type: "file-answer", targetId: string, accepted: boolean}
 *   | {type: "file-chunk", targetId: string, chunk: string, index: number, total: number}
 *   | {type: "quality-change", targetId: string, quality: string}} Request
 */
export {};
