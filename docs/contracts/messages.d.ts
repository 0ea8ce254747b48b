// What client and server say to each other (docs/protocol.md), as types only: nothing here runs.
// Made by `make contracts` from the server's own messages, and changed there.

/** An ICE candidate, as browsers have it (RTCIceCandidateInit). May have more fields. */
export interface IceCandidateInit {
  candidate?: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
  usernameFragment?: string | null;
}

/**
 * Enter a room, or with isHost make it if it does not exist. With resume one's place is kept when the
 * connection is lost; with a resumeToken one takes it again, on a new connection.
 */
export interface JoinRequest {
  type: "join";
  /** The room's code, in upper or lower case. */
  roomId: string;
  /**
   * 1 to 64 characters after trimming, at least one of them visible, none of them a control or text-
   * direction character. Not needed with a resumeToken, nor where a token or the site brings one.
   */
  name?: string | null;
  /** The room's password if it has one; for a room that is made, the one it gets. */
  password?: string | null;
  /** Make the room if there is none. On a room that exists it grants nothing. */
  isHost?: boolean | null;
  /** Makes its holder host. A wrong one is ignored, but counts as a failed guess. */
  creatorToken?: string | null;
  /** Seats of a room that is made, up to the server's ceiling. */
  maxParticipants?: number | null;
  /** One's place is to be kept when the connection is lost. */
  resume?: boolean | null;
  /** Take one's place again: the last token that was given for it. */
  resumeToken?: string | null;
  /** With a resumeToken: the seq of the last message that was heard. */
  lastSeq?: number | null;
  /**
   * With a resumeToken: all that was known is forgotten, as when a page is loaded anew; the others meet
   * the same person again.
   */
  restart?: boolean | null;
  /**
   * A join token or an invite of the site: what it grants holds, whatever the other fields say, and it
   * may bring the name.
   */
  token?: string | null;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Leave the room, or the waiting room. The connection stays open, and may join again. */
export interface LeaveRequest {
  type: "leave";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** A WebRTC offer to one participant. */
export interface OfferRequest {
  type: "offer";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** A session description (RFC 8866), passed on as it is. */
  sdp: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** A WebRTC answer to one participant. */
export interface AnswerRequest {
  type: "answer";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** A session description (RFC 8866), passed on as it is. */
  sdp: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** An ICE candidate to one participant: any object, or null for the end of candidates. */
export interface IceCandidateRequest {
  type: "ice-candidate";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** An ICE candidate as browsers give it (RTCIceCandidateInit), passed on as it is; null ends them. */
  candidate: IceCandidateInit | null;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Offers a file to one participant. */
export interface FileOfferRequest {
  type: "file-offer";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** The file's name. */
  fileName: string;
  /** The file's size in bytes. */
  fileSize: number;
  /** The file's media type. */
  fileType: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Whether the file that one participant offered is wanted. */
export interface FileAnswerRequest {
  type: "file-answer";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** Whether the file is wanted. */
  accepted: boolean;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** A piece of a file to one participant, for clients without a data channel. */
export interface FileChunkRequest {
  type: "file-chunk";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** This piece of the file, as text (Base64, say). */
  chunk: string;
  /** Which piece this is, counted from 0. */
  index: number;
  /** How many pieces there are. */
  total: number;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Asks one participant to send video of another quality. */
export interface QualityChangeRequest {
  type: "quality-change";
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** What is asked for, such as low, medium or high; the server does not read it. */
  quality: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** A text for everyone in the room; with a targetId for that participant alone. */
export interface ChatRequest {
  type: "chat";
  /** 1 to 4,000 characters. */
  text: string;
  /** The messageId of the text that this one answers. */
  replyTo?: string | null;
  /** For whom alone it is: the id of one participant of the same room. */
  targetId?: string | null;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Takes a chat message back: one's own, or as a moderator anyone's. */
export interface DeleteMessageRequest {
  type: "delete-message";
  /** Which message, as <timestamp>-<participantId>. */
  messageId: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Changes one's own state; what is left out stays as it is. */
export interface UpdateStateRequest {
  type: "participant-updated";
  /** Sends no sound. */
  isMuted?: boolean | null;
  /** Sends no picture. */
  isVideoOff?: boolean | null;
  /** Asks for attention. */
  isHandRaised?: boolean | null;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Asks for attention. */
export interface RaiseHandRequest {
  type: "raise-hand";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Takes the raised hand down. */
export interface LowerHandRequest {
  type: "lower-hand";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** One's client records from now on: the recording itself is the client's, this tells the room. */
export interface StartRecordingRequest {
  type: "recording-started";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Ends one's own recording; those of others go on. */
export interface StopRecordingRequest {
  type: "recording-stopped";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/**
 * Mutes, unmutes or kicks a participant, or makes it a moderator. A creator cannot be kicked, and nobody
 * kicks themselves.
 */
export interface ModeratorActionRequest {
  type: "moderator-action";
  /** A participant of the room. */
  targetId: string;
  /** What is done to the target. */
  action: "kick" | "make-moderator" | "mute" | "unmute";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** From now on newcomers wait. */
export interface LockRoomRequest {
  type: "room-locked";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Everyone waiting enters, in order, while there are seats; the rest enter as seats free. */
export interface UnlockRoomRequest {
  type: "room-unlocked";
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Somebody who waits may enter, if there is a seat. */
export interface AdmitUserRequest {
  type: "admit-user";
  /** Who waits, and may enter. */
  targetId: string;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/** Somebody who waits may not enter. */
export interface RejectUserRequest {
  type: "reject-user";
  /** Who waits, and may not enter. */
  targetId: string;
  /** Why, for people to read. */
  reason?: string | null;
  /** Milliseconds since the epoch, by one's own clock. Only what is passed on to one participant keeps it. */
  timestamp?: number | null;
  /** Number of this message among all of a client that may come back: 1, 2, 3, … Repeats are dropped. */
  clientSeq?: number | null;
}

/**
 * Somebody is in the room. The first one that a client hears is its own, and tells it its id.
 * creatorToken is there only in the own one of whoever made the room by joining, once; the fields about
 * coming back only in the own one of a client that asked for it.
 */
export interface ParticipantJoinedMessage {
  type: "participant-joined";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** May act on others, lock the room and admit who waits. */
  isModerator: boolean;
  /** Is the one host of the room, who is a moderator too. */
  isHost: boolean;
  /** Sends no sound. */
  isMuted: boolean;
  /** Sends no picture. */
  isVideoOff: boolean;
  /** Asks for attention. */
  isHandRaised: boolean;
  /** False while the connection is lost and the participant may still come back. */
  isConnected: boolean;
  /** What a person is called. */
  name: string;
  /** Makes its holder host, lets it past the waiting room, and protects it from being kicked. A secret. */
  creatorToken?: string;
  /**
   * With which to come back after a lost connection. A secret of this client; each return brings a new
   * one.
   */
  resumeToken?: string;
  /** For how many seconds one's place is kept after a lost connection. */
  resumeWindow?: number;
  /** True: this answers a join with a resume token, and the place is one's own again. */
  resumed?: boolean;
  /** True: all that was missed follows. False: everything there is follows, and replaces what was known. */
  replayed?: boolean;
  /** The highest clientSeq that has arrived; 0 if none has. */
  lastClientSeq?: number;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message; where it says resumed, the number from which the count goes on. */
  seq?: number;
}

/** A participant's state after it changed, always whole. */
export interface ParticipantUpdatedMessage {
  type: "participant-updated";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** May act on others, lock the room and admit who waits. */
  isModerator: boolean;
  /** Is the one host of the room, who is a moderator too. */
  isHost: boolean;
  /** Sends no sound. */
  isMuted: boolean;
  /** Sends no picture. */
  isVideoOff: boolean;
  /** Asks for attention. */
  isHandRaised: boolean;
  /** False while the connection is lost and the participant may still come back. */
  isConnected: boolean;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** Somebody has left the room; or, told to moderators, the waiting room. */
export interface ParticipantLeftMessage {
  type: "participant-left";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * Before one's own participant-joined: one has to wait. To a moderator: this person waits. The fields
 * about coming back are only in the own one of a client that asked for it.
 */
export interface WaitingRoomMessage {
  type: "waiting-room";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** What a person is called. */
  name: string;
  /**
   * With which to come back after a lost connection. A secret of this client; each return brings a new
   * one.
   */
  resumeToken?: string;
  /** For how many seconds one's place is kept after a lost connection. */
  resumeWindow?: number;
  /** True: this answers a join with a resume token, and the place is one's own again. */
  resumed?: boolean;
  /** True: all that was missed follows. False: everything there is follows, and replaces what was known. */
  replayed?: boolean;
  /** The highest clientSeq that has arrived; 0 if none has. */
  lastClientSeq?: number;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * A moderator did it to this client. With an empty participantId the server did: this client is the host
 * now, and so a moderator.
 */
export interface ModeratorActionMessage {
  type: "moderator-action";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** To whom it is done: the receiver. */
  targetId: string;
  /** What is done to the target. */
  action: "kick" | "make-moderator" | "mute" | "unmute";
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** Newcomers wait from now on. */
export interface RoomLockedMessage {
  type: "room-locked";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** The moderator who locked the room. */
  lockedBy: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** Newcomers enter again. */
export interface RoomUnlockedMessage {
  type: "room-unlocked";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** The moderator who unlocked the room. */
  unlockedBy: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * This client may not enter; its connection is closed next. With an empty participantId the meeting ended
 * while it waited.
 */
export interface RejectUserMessage {
  type: "reject-user";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Who may not enter: the receiver. */
  targetId: string;
  /** Why, for people to read. */
  reason: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** Somebody asks for attention. */
export interface RaiseHandMessage {
  type: "raise-hand";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** Somebody took the raised hand down. */
export interface LowerHandMessage {
  type: "lower-hand";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * A participant's client is recording. Also told to whoever comes later, one for each recording that
 * runs.
 */
export interface RecordingStartedMessage {
  type: "recording-started";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** The participant whose client records. */
  startedBy: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A participant's client records no longer, or its participant has left. */
export interface RecordingStoppedMessage {
  type: "recording-stopped";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** The participant whose client records no longer. */
  stoppedBy: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * A text from a participant to the room; with a targetId to that participant alone. What was said before
 * one came has isHistory, and the name of who said it.
 */
export interface ChatMessage {
  type: "chat";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** What is said. */
  text: string;
  /** Names this text, as <timestamp>-<participantId>. */
  messageId: string;
  /** The messageId of the text that this one answers. */
  replyTo?: string;
  /** For whom alone it is; absent from what is said to all. */
  targetId?: string;
  /** True: said before one came. */
  isHistory?: boolean;
  /** Of who said it, in history: they may be gone. */
  name?: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * A chat message was taken back, by who wrote it or by a moderator: clients remove it. Who does not know
 * it has nothing to do.
 */
export interface MessageDeletedMessage {
  type: "message-deleted";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Which message. */
  messageId: string;
  /** Who took it back. */
  deletedBy: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A WebRTC offer. */
export interface OfferMessage {
  type: "offer";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** A session description (RFC 8866), passed on as it is. */
  sdp: string;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A WebRTC answer. */
export interface AnswerMessage {
  type: "answer";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** A session description (RFC 8866), passed on as it is. */
  sdp: string;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** An ICE candidate; null is the end of candidates. */
export interface IceCandidateMessage {
  type: "ice-candidate";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** An ICE candidate as browsers give it (RTCIceCandidateInit), passed on as it is; null ends them. */
  candidate: IceCandidateInit | null;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A participant offers a file. */
export interface FileOfferMessage {
  type: "file-offer";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** The file's name. */
  fileName: string;
  /** The file's size in bytes. */
  fileSize: number;
  /** The file's media type. */
  fileType: string;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A participant accepts or declines a file. */
export interface FileAnswerMessage {
  type: "file-answer";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** Whether the file is wanted. */
  accepted: boolean;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A piece of a file. */
export interface FileChunkMessage {
  type: "file-chunk";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** This piece of the file, as text (Base64, say). */
  chunk: string;
  /** Which piece this is, counted from 0. */
  index: number;
  /** How many pieces there are. */
  total: number;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/** A participant asks for another video quality. */
export interface QualityChangeMessage {
  type: "quality-change";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** Whom it is for: the id of one participant of the same room. */
  targetId: string;
  /** What is asked for, such as low, medium or high; the server does not read it. */
  quality: string;
  /** Milliseconds since the epoch, by the sender's clock; the server's where the sender gave none. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

/**
 * Fresh credentials for TURN, before those of a participant run out: for
 * RTCPeerConnection.setConfiguration on every connection there is, and for every later one. participantId
 * is the receiver's own.
 */
export interface IceServersMessage {
  type: "ice-servers";
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who did it, or whom it is about; empty where it is the server itself. */
  participantId: string;
  /** For RTCPeerConnection, as they are. */
  iceServers: IceServer[];
  /** For how many seconds the credentials hold. */
  ttl: number;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

export interface IceServer {
  /** The server's address (RFC 7064, RFC 7065). */
  urls: string;
  /** User name, for a TURN server. */
  username?: string;
  /** Password, for a TURN server. */
  credential?: string;
}

/** A request was refused, and nothing has changed; the connection lives on. */
export interface ErrorMessage {
  type: "error";
  /** Always empty. */
  roomId: string;
  /** Always empty. */
  participantId: string;
  /** What is wrong, for people to read. */
  message: string;
  /** What is wrong, for programs. Later versions may have further codes. */
  code: ErrorCode | (string & {});
  /** The type of what was refused; absent where that could not be read. */
  requestType?: string;
  /** Milliseconds since the epoch, by the server's clock. */
  timestamp: number;
  /** Number of this message among all that are told to a client that may come back; others never see it. */
  seq?: number;
}

export interface CreateRoom {
  /** The code to be used, in upper or lower case; without it one is made. */
  roomId?: string | null;
  /** At most 256 characters; empty is none. */
  password?: string | null;
  /** How many seats the room has, up to the server's ceiling. */
  maxParticipants?: number | null;
}

export interface CreatedRoom {
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Makes its holder host, lets it past the waiting room, and protects it from being kicked. A secret. */
  creatorToken: string;
}

export interface Problem {
  /** What was wrong, for people to read. */
  error: string;
}

export interface IceConfiguration {
  /** For RTCPeerConnection, as they are. */
  iceServers: IceServer[];
  /** For how many seconds the credentials hold. */
  ttl?: number;
}

export interface Health {
  /** How it is. */
  status: "ok";
  /** Rooms that have somebody in them, and be it somebody who may come back. */
  totalRooms: number;
  /** Participants who are connected. */
  totalParticipants: number;
  /** The highest totalParticipants since the start. */
  peakParticipants: number;
  /** Milliseconds since the start. */
  uptime: number;
  /** The server's version. */
  version: string;
}

export interface Ready {
  /** How it is. */
  status: "ready";
}

export interface Index {
  /** Of the service. */
  name: string;
  /** The server's version. */
  version: string;
  /** Paths, by what is there. */
  endpoints: Record<string, string>;
}

export interface RoomList {
  /** The rooms, sorted by code. */
  rooms: RoomSummary[];
  /** The after of the next request; absent where there are no more. */
  next?: string;
}

export interface RoomSummary {
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** With people in it (active), made ahead and empty (latent), or lost by everyone in it (lingering). */
  state: "active" | "latent" | "lingering";
  /** People in the room, and be it some who may come back. */
  participantCount: number;
  /** People in the room who are connected. */
  connectedCount: number;
  /** People who wait. */
  waitingCount: number;
  /** How many seats the room has. */
  maxParticipants: number;
  /** Newcomers wait. */
  isLocked: boolean;
  /** Newcomers need a password. */
  hasPassword: boolean;
  /** It was made before anyone was in it. */
  isPrecreated: boolean;
  /** When it is removed, in milliseconds since the epoch; null with people in it. */
  expiresAt: number | null;
}

export interface RoomDetail {
  /** Who is in the room, in the order in which they came. */
  participants: ParticipantDetail[];
  /** Who waits, in the order in which they came. */
  waiting: Person[];
  /** Who may not come. */
  bans: BanDetail[];
  /** By what somebody can come in, in the order of their making. */
  invites: InviteDetail[];
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** With people in it (active), made ahead and empty (latent), or lost by everyone in it (lingering). */
  state: "active" | "latent" | "lingering";
  /** People in the room, and be it some who may come back. */
  participantCount: number;
  /** People in the room who are connected. */
  connectedCount: number;
  /** People who wait. */
  waitingCount: number;
  /** How many seats the room has. */
  maxParticipants: number;
  /** Newcomers wait. */
  isLocked: boolean;
  /** Newcomers need a password. */
  hasPassword: boolean;
  /** It was made before anyone was in it. */
  isPrecreated: boolean;
  /** When it is removed, in milliseconds since the epoch; null with people in it. */
  expiresAt: number | null;
}

export interface ParticipantDetail {
  /** Is the one host of the room, who is a moderator too. */
  isHost: boolean;
  /** May act on others, lock the room and admit who waits. */
  isModerator: boolean;
  /** Came with the creator token. */
  isCreator: boolean;
  /** Sends no sound. */
  isMuted: boolean;
  /** Sends no picture. */
  isVideoOff: boolean;
  /** Asks for attention. */
  isHandRaised: boolean;
  /** Its id. */
  id: string;
  /** What a person is called. */
  name: string;
  /** False while the connection is lost and the participant may still come back. */
  isConnected: boolean;
  /** From where it came; told to the administrator alone. */
  address?: string;
  /** Who the site says it is; told to the administrator alone, where the site said so. */
  subject?: string;
}

export interface Person {
  /** Its id. */
  id: string;
  /** What a person is called. */
  name: string;
  /** False while the connection is lost and the participant may still come back. */
  isConnected: boolean;
  /** From where it came; told to the administrator alone. */
  address?: string;
  /** Who the site says it is; told to the administrator alone, where the site said so. */
  subject?: string;
}

export interface BanDetail {
  /** Its id. */
  id: string;
  /** What a person is called. */
  name: string;
  /** Since when, in milliseconds since the epoch. */
  createdAt: number;
  /** Until when, in milliseconds since the epoch; null is as long as the room is there. */
  expiresAt: number;
  /** From where it came; told to the administrator alone. */
  address?: string;
  /** Who the site says it is; told to the administrator alone, where the site said so. */
  subject?: string;
}

export interface InviteDetail {
  /** Its id. */
  id: string;
  /** As what one comes in. */
  role: "moderator" | "participant";
  /** For whoever makes it. */
  label: string;
  /** Whoever comes with it enters a locked room at once. */
  skipsWaiting: boolean;
  /** Since when, in milliseconds since the epoch. */
  createdAt: number;
  /** Until when, in milliseconds since the epoch; null is as long as the room is there. */
  expiresAt: number | null;
}

export interface ChangeRoom {
  /** What newcomers need; null is none. */
  password?: string | null;
  /** How many seats the room has, up to the server's ceiling. */
  maxParticipants?: number;
  /** Whether newcomers wait. */
  isLocked?: boolean;
}

export interface ChangeParticipant {
  /** Whether it may act on others. */
  isModerator: boolean;
}

export interface Removal {
  /** The ban; null where none was asked for. */
  ban: BanDetail | null;
}

export interface InviteList {
  /** By what somebody can come in, in the order of their making. */
  invites: InviteDetail[];
}

export interface NewInvite {
  /** As what one comes in. */
  role?: "moderator" | "participant";
  /** For how many seconds it holds; without it, as long as the room is there. */
  expiresIn?: number | null;
  /** Whoever comes with it enters a locked room at once. */
  skipsWaiting?: boolean;
  /** For whoever makes it. */
  label?: string;
}

export interface CreatedInvite {
  /** With which to come in, as the token of a join. It is told once, and stored hashed. */
  token: string;
  /** Its id. */
  id: string;
  /** As what one comes in. */
  role: "moderator" | "participant";
  /** For whoever makes it. */
  label: string;
  /** Whoever comes with it enters a locked room at once. */
  skipsWaiting: boolean;
  /** Since when, in milliseconds since the epoch. */
  createdAt: number;
  /** Until when, in milliseconds since the epoch; null is as long as the room is there. */
  expiresAt: number | null;
}

export interface RoomEvents {
  /** The events, in order. */
  events: RoomEvent[];
  /** The after of the next request; null where there has been nothing yet. */
  next: string | null;
  /** False where some that came after the one asked for are not kept any more. */
  isComplete: boolean;
}

export interface RoomEvent {
  /** What has happened. */
  type: "participant.joined" | "participant.left" | "participant.waiting" | "participant.waiting-left" | "room.ended" | "room.moderated" | "room.started";
  /** The event's place, milliseconds and a number; it grows from each to the next. */
  id: string;
  /** When it happened, in milliseconds since the epoch. */
  timestamp: number;
  /** The room's code: six letters or digits, in upper case. */
  roomId: string;
  /** Who joined, left, waits, or waits no longer. */
  participant?: EventPerson;
  /** Why somebody is gone: left by word, lost the connection, removed, rejected, or it all ended. */
  reason?: "ended" | "left" | "lost" | "rejected" | "removed";
  /** What was done, such as locked, admitted or muted; there may be more. */
  action?: string;
  /** The id of the participant who did it; empty for the server and its administration. */
  by?: string;
  /** To whom it was done; absent where it concerns the room. */
  target?: EventPerson;
}

export interface EventPerson {
  /** Its id. */
  id: string;
  /** What a person is called. */
  name: string;
  /** Who that is to the site; null if it did not say. */
  subject: string | null;
  /** Is the one host of the room, who is a moderator too. */
  isHost: boolean;
  /** May act on others, lock the room and admit who waits. */
  isModerator: boolean;
}

export type ErrorCode =
  "ROOM_FULL" | "INVALID_PASSWORD" | "ROOM_NOT_FOUND" | "UNAUTHORIZED" |
  "INVALID_MESSAGE" | "NOT_IN_ROOM" | "ALREADY_JOINED" | "TARGET_NOT_FOUND" |
  "RATE_LIMITED" | "ROOM_LIMIT" | "WAITING_ROOM_FULL" | "RESUME_FAILED" |
  "INVALID_TOKEN" | "BANNED" | "SERVER_ERROR";

export type CloseCode =
  1002 | 1003 | 1007 | 1009 | 1011 | 1012 | 4001 | 4002 | 4003 | 4501 | 4502 | 4503 |
  4504;

export type Request =
  JoinRequest | LeaveRequest | OfferRequest | AnswerRequest | IceCandidateRequest |
  FileOfferRequest | FileAnswerRequest | FileChunkRequest | QualityChangeRequest |
  ChatRequest | DeleteMessageRequest | UpdateStateRequest | RaiseHandRequest |
  LowerHandRequest | StartRecordingRequest | StopRecordingRequest |
  ModeratorActionRequest | LockRoomRequest | UnlockRoomRequest | AdmitUserRequest |
  RejectUserRequest;

export type Message =
  ParticipantJoinedMessage | ParticipantUpdatedMessage | ParticipantLeftMessage |
  WaitingRoomMessage | ModeratorActionMessage | RoomLockedMessage |
  RoomUnlockedMessage | RejectUserMessage | RaiseHandMessage | LowerHandMessage |
  RecordingStartedMessage | RecordingStoppedMessage | ChatMessage |
  MessageDeletedMessage | OfferMessage | AnswerMessage | IceCandidateMessage |
  FileOfferMessage | FileAnswerMessage | FileChunkMessage | QualityChangeMessage |
  IceServersMessage | ErrorMessage;
