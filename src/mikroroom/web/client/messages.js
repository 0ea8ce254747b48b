// What client and server say to each other (docs/protocol.md), as types only: nothing here runs.
// Made by `make contracts` from the server's own messages, and changed there.

/**
 * An ICE candidate, as browsers have it (RTCIceCandidateInit). May have more fields.
 * @typedef {{candidate?: string, sdpMid?: string | null, sdpMLineIndex?: number | null,
 *   usernameFragment?: string | null}} IceCandidateInit
 */

/**
 * Enter a room, or with isHost make it if it does not exist. With resume one's place is kept when the connection
 * is lost; with a resumeToken one takes it again, on a new connection.
 * @typedef {{type: "join", roomId: string, name?: string | null, password?: string | null,
 *   isHost?: boolean | null, creatorToken?: string | null,
 *   maxParticipants?: number | null, resume?: boolean | null,
 *   resumeToken?: string | null, lastSeq?: number | null, restart?: boolean | null,
 *   token?: string | null, timestamp?: number | null, clientSeq?: number | null}} JoinRequest
 */

/**
 * Leave the room, or the waiting room. The connection stays open, and may join again.
 * @typedef {{type: "leave", timestamp?: number | null, clientSeq?: number | null}} LeaveRequest
 */

/**
 * A WebRTC offer to one participant.
 * @typedef {{type: "offer", targetId: string, sdp: string, timestamp?: number | null,
 *   clientSeq?: number | null}} OfferRequest
 */

/**
 * A WebRTC answer to one participant.
 * @typedef {{type: "answer", targetId: string, sdp: string, timestamp?: number | null,
 *   clientSeq?: number | null}} AnswerRequest
 */

/**
 * An ICE candidate to one participant: any object, or null for the end of candidates.
 * @typedef {{type: "ice-candidate", targetId: string, candidate: IceCandidateInit | null,
 *   timestamp?: number | null, clientSeq?: number | null}} IceCandidateRequest
 */

/**
 * Offers a file to one participant.
 * @typedef {{type: "file-offer", targetId: string, fileName: string, fileSize: number,
 *   fileType: string, timestamp?: number | null, clientSeq?: number | null}} FileOfferRequest
 */

/**
 * Whether the file that one participant offered is wanted.
 * @typedef {{type: "file-answer", targetId: string, accepted: boolean,
 *   timestamp?: number | null, clientSeq?: number | null}} FileAnswerRequest
 */

/**
 * A piece of a file to one participant, for clients without a data channel.
 * @typedef {{type: "file-chunk", targetId: string, chunk: string, index: number,
 *   total: number, timestamp?: number | null, clientSeq?: number | null}} FileChunkRequest
 */

/**
 * Asks one participant to send video of another quality.
 * @typedef {{type: "quality-change", targetId: string, quality: string,
 *   timestamp?: number | null, clientSeq?: number | null}} QualityChangeRequest
 */

/**
 * A text for everyone in the room; with a targetId for that participant alone.
 * @typedef {{type: "chat", text: string, replyTo?: string | null, targetId?: string | null,
 *   timestamp?: number | null, clientSeq?: number | null}} ChatRequest
 */

/**
 * Takes a chat message back: one's own, or as a moderator anyone's.
 * @typedef {{type: "delete-message", messageId: string, timestamp?: number | null,
 *   clientSeq?: number | null}} DeleteMessageRequest
 */

/**
 * Changes one's own state; what is left out stays as it is.
 * @typedef {{type: "participant-updated", isMuted?: boolean | null,
 *   isVideoOff?: boolean | null, isHandRaised?: boolean | null,
 *   timestamp?: number | null, clientSeq?: number | null}} UpdateStateRequest
 */

/**
 * Asks for attention.
 * @typedef {{type: "raise-hand", timestamp?: number | null, clientSeq?: number | null}} RaiseHandRequest
 */

/**
 * Takes the raised hand down.
 * @typedef {{type: "lower-hand", timestamp?: number | null, clientSeq?: number | null}} LowerHandRequest
 */

/**
 * One's client records from now on: the recording itself is the client's, this tells the room.
 * @typedef {{type: "recording-started", timestamp?: number | null,
 *   clientSeq?: number | null}} StartRecordingRequest
 */

/**
 * Ends one's own recording; those of others go on.
 * @typedef {{type: "recording-stopped", timestamp?: number | null,
 *   clientSeq?: number | null}} StopRecordingRequest
 */

/**
 * Mutes, unmutes or kicks a participant, or makes it a moderator. A creator cannot be kicked, and nobody kicks
 * themselves.
 * @typedef {{type: "moderator-action", targetId: string,
 *   action: "kick" | "make-moderator" | "mute" | "unmute",
 *   timestamp?: number | null, clientSeq?: number | null}} ModeratorActionRequest
 */

/**
 * From now on newcomers wait.
 * @typedef {{type: "room-locked", timestamp?: number | null, clientSeq?: number | null}} LockRoomRequest
 */

/**
 * Everyone waiting enters, in order, while there are seats; the rest enter as seats free.
 * @typedef {{type: "room-unlocked", timestamp?: number | null, clientSeq?: number | null}} UnlockRoomRequest
 */

/**
 * Somebody who waits may enter, if there is a seat.
 * @typedef {{type: "admit-user", targetId: string, timestamp?: number | null,
 *   clientSeq?: number | null}} AdmitUserRequest
 */

/**
 * Somebody who waits may not enter.
 * @typedef {{type: "reject-user", targetId: string, reason?: string | null,
 *   timestamp?: number | null, clientSeq?: number | null}} RejectUserRequest
 */

/**
 * Somebody is in the room. The first one that a client hears is its own, and tells it its id. creatorToken is
 * there only in the own one of whoever made the room by joining, once; the fields about coming back only in the
 * own one of a client that asked for it.
 * @typedef {{type: "participant-joined", roomId: string, participantId: string,
 *   isModerator: boolean, isHost: boolean, isMuted: boolean,
 *   isVideoOff: boolean, isHandRaised: boolean, isConnected: boolean,
 *   name: string, creatorToken?: string, resumeToken?: string,
 *   resumeWindow?: number, resumed?: boolean, replayed?: boolean,
 *   lastClientSeq?: number, timestamp: number, seq?: number}} ParticipantJoinedMessage
 */

/**
 * A participant's state after it changed, always whole.
 * @typedef {{type: "participant-updated", roomId: string, participantId: string,
 *   isModerator: boolean, isHost: boolean, isMuted: boolean,
 *   isVideoOff: boolean, isHandRaised: boolean, isConnected: boolean,
 *   timestamp: number, seq?: number}} ParticipantUpdatedMessage
 */

/**
 * Somebody has left the room; or, told to moderators, the waiting room.
 * @typedef {{type: "participant-left", roomId: string, participantId: string,
 *   timestamp: number, seq?: number}} ParticipantLeftMessage
 */

/**
 * Before one's own participant-joined: one has to wait. To a moderator: this person waits. The fields about
 * coming back are only in the own one of a client that asked for it.
 * @typedef {{type: "waiting-room", roomId: string, participantId: string, name: string,
 *   resumeToken?: string, resumeWindow?: number, resumed?: boolean,
 *   replayed?: boolean, lastClientSeq?: number, timestamp: number, seq?: number}} WaitingRoomMessage
 */

/**
 * A moderator did it to this client. With an empty participantId the server did: this client is the host now,
 * and so a moderator.
 * @typedef {{type: "moderator-action", roomId: string, participantId: string,
 *   targetId: string, action: "kick" | "make-moderator" | "mute" | "unmute",
 *   timestamp: number, seq?: number}} ModeratorActionMessage
 */

/**
 * Newcomers wait from now on.
 * @typedef {{type: "room-locked", roomId: string, participantId: string, lockedBy: string,
 *   timestamp: number, seq?: number}} RoomLockedMessage
 */

/**
 * Newcomers enter again.
 * @typedef {{type: "room-unlocked", roomId: string, participantId: string,
 *   unlockedBy: string, timestamp: number, seq?: number}} RoomUnlockedMessage
 */

/**
 * This client may not enter; its connection is closed next. With an empty participantId the meeting ended while
 * it waited.
 * @typedef {{type: "reject-user", roomId: string, participantId: string, targetId: string,
 *   reason: string, timestamp: number, seq?: number}} RejectUserMessage
 */

/**
 * Somebody asks for attention.
 * @typedef {{type: "raise-hand", roomId: string, participantId: string, timestamp: number,
 *   seq?: number}} RaiseHandMessage
 */

/**
 * Somebody took the raised hand down.
 * @typedef {{type: "lower-hand", roomId: string, participantId: string, timestamp: number,
 *   seq?: number}} LowerHandMessage
 */

/**
 * A participant's client is recording. Also told to whoever comes later, one for each recording that runs.
 * @typedef {{type: "recording-started", roomId: string, participantId: string,
 *   startedBy: string, timestamp: number, seq?: number}} RecordingStartedMessage
 */

/**
 * A participant's client records no longer, or its participant has left.
 * @typedef {{type: "recording-stopped", roomId: string, participantId: string,
 *   stoppedBy: string, timestamp: number, seq?: number}} RecordingStoppedMessage
 */

/**
 * A text from a participant to the room; with a targetId to that participant alone. What was said before one
 * came has isHistory, and the name of who said it.
 * @typedef {{type: "chat", roomId: string, participantId: string, text: string,
 *   messageId: string, replyTo?: string, targetId?: string, isHistory?: boolean,
 *   name?: string, timestamp: number, seq?: number}} ChatMessage
 */

/**
 * A chat message was taken back, by who wrote it or by a moderator: clients remove it. Who does not know it has
 * nothing to do.
 * @typedef {{type: "message-deleted", roomId: string, participantId: string,
 *   messageId: string, deletedBy: string, timestamp: number, seq?: number}} MessageDeletedMessage
 */

/**
 * A WebRTC offer.
 * @typedef {{type: "offer", roomId: string, participantId: string, targetId: string,
 *   sdp: string, timestamp: number, seq?: number}} OfferMessage
 */

/**
 * A WebRTC answer.
 * @typedef {{type: "answer", roomId: string, participantId: string, targetId: string,
 *   sdp: string, timestamp: number, seq?: number}} AnswerMessage
 */

/**
 * An ICE candidate; null is the end of candidates.
 * @typedef {{type: "ice-candidate", roomId: string, participantId: string,
 *   targetId: string, candidate: IceCandidateInit | null, timestamp: number,
 *   seq?: number}} IceCandidateMessage
 */

/**
 * A participant offers a file.
 * @typedef {{type: "file-offer", roomId: string, participantId: string, targetId: string,
 *   fileName: string, fileSize: number, fileType: string, timestamp: number,
 *   seq?: number}} FileOfferMessage
 */

/**
 * A participant accepts or declines a file.
 * @typedef {{type: "file-answer", roomId: string, participantId: string, targetId: string,
 *   accepted: boolean, timestamp: number, seq?: number}} FileAnswerMessage
 */

/**
 * A piece of a file.
 * @typedef {{type: "file-chunk", roomId: string, participantId: string, targetId: string,
 *   chunk: string, index: number, total: number, timestamp: number, seq?: number}} FileChunkMessage
 */

/**
 * A participant asks for another video quality.
 * @typedef {{type: "quality-change", roomId: string, participantId: string,
 *   targetId: string, quality: string, timestamp: number, seq?: number}} QualityChangeMessage
 */

/**
 * Fresh credentials for TURN, before those of a participant run out: for RTCPeerConnection.setConfiguration on
 * every connection there is, and for every later one. participantId is the receiver's own.
 * @typedef {{type: "ice-servers", roomId: string, participantId: string,
 *   iceServers: IceServer[], ttl: number, timestamp: number, seq?: number}} IceServersMessage
 */

/**
 * @typedef {{urls: string, username?: string, credential?: string}} IceServer
 */

/**
 * A request was refused, and nothing has changed; the connection lives on.
 * @typedef {{type: "error", roomId: string, participantId: string, message: string,
 *   code: ErrorCode | (string & {}), requestType?: string, timestamp: number,
 *   seq?: number}} ErrorMessage
 */

/**
 * @typedef {"ROOM_FULL" | "INVALID_PASSWORD" | "ROOM_NOT_FOUND" | "UNAUTHORIZED" |
 *   "INVALID_MESSAGE" | "NOT_IN_ROOM" | "ALREADY_JOINED" | "TARGET_NOT_FOUND" |
 *   "RATE_LIMITED" | "ROOM_LIMIT" | "WAITING_ROOM_FULL" | "RESUME_FAILED" |
 *   "INVALID_TOKEN" | "BANNED" | "SERVER_ERROR"} ErrorCode
 */

/**
 * @typedef {1002 | 1003 | 1007 | 1009 | 1011 | 1012 | 4001 | 4002 | 4003 | 4501 | 4502 | 4503 |
 *   4504} CloseCode
 */

/**
 * @typedef {JoinRequest | LeaveRequest | OfferRequest | AnswerRequest | IceCandidateRequest |
 *   FileOfferRequest | FileAnswerRequest | FileChunkRequest | QualityChangeRequest |
 *   ChatRequest | DeleteMessageRequest | UpdateStateRequest | RaiseHandRequest |
 *   LowerHandRequest | StartRecordingRequest | StopRecordingRequest |
 *   ModeratorActionRequest | LockRoomRequest | UnlockRoomRequest | AdmitUserRequest |
 *   RejectUserRequest} Request
 */

/**
 * @typedef {ParticipantJoinedMessage | ParticipantUpdatedMessage | ParticipantLeftMessage |
 *   WaitingRoomMessage | ModeratorActionMessage | RoomLockedMessage |
 *   RoomUnlockedMessage | RejectUserMessage | RaiseHandMessage | LowerHandMessage |
 *   RecordingStartedMessage | RecordingStoppedMessage | ChatMessage |
 *   MessageDeletedMessage | OfferMessage | AnswerMessage | IceCandidateMessage |
 *   FileOfferMessage | FileAnswerMessage | FileChunkMessage | QualityChangeMessage |
 *   IceServersMessage | ErrorMessage} Message
 */

export {};
