"""One example of every request: those of the API reference as they stand there, and those beyond it alike."""

import json
from typing import Any

Fields = dict[str, Any]

REFERENCE: dict[str, Fields] = {
    "join": {
        "type": "join",
        "roomId": "ABC123",
        "participantId": "",
        "name": "John Doe",
        "password": "secret",
        "isHost": False,
        "creatorToken": "550e8400-e29b-41d4-a716-446655440000",
        "timestamp": 1234567890,
    },
    "leave": {"type": "leave", "roomId": "ABC123", "participantId": "your-uuid", "timestamp": 1234567890},
    "offer": {
        "type": "offer",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "sdp": "v=0\r\no=- ...",
        "timestamp": 1234567890,
    },
    "answer": {
        "type": "answer",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "sdp": "v=0\r\no=- ...",
        "timestamp": 1234567890,
    },
    "ice-candidate": {
        "type": "ice-candidate",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "peer-uuid",
        "candidate": {"candidate": "candidate:...", "sdpMid": "0", "sdpMLineIndex": 0},
        "timestamp": 1234567890,
    },
    "chat": {
        "type": "chat",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "text": "Hello everyone!",
        "replyTo": "message-id",
        "timestamp": 1234567890,
    },
    "participant-updated": {
        "type": "participant-updated",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "isMuted": True,
        "isVideoOff": False,
        "isHandRaised": False,
        "timestamp": 1234567890,
    },
    "raise-hand": {
        "type": "raise-hand",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "timestamp": 1234567890,
    },
    "lower-hand": {
        "type": "lower-hand",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "timestamp": 1234567890,
    },
    "moderator-action": {
        "type": "moderator-action",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "target-uuid",
        "action": "mute",
        "timestamp": 1234567890,
    },
    "room-locked": {
        "type": "room-locked",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "timestamp": 1234567890,
    },
    "room-unlocked": {
        "type": "room-unlocked",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "timestamp": 1234567890,
    },
    "admit-user": {
        "type": "admit-user",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "waiting-user-uuid",
        "timestamp": 1234567890,
    },
    "reject-user": {
        "type": "reject-user",
        "roomId": "ABC123",
        "participantId": "your-uuid",
        "targetId": "waiting-user-uuid",
        "reason": "Room is full",
        "timestamp": 1234567890,
    },
}

BEYOND: dict[str, Fields] = {
    "delete-message": {
        "type": "delete-message",
        "messageId": "1234567890-your-uuid",
        "timestamp": 1234567890,
    },
    "file-offer": {
        "type": "file-offer",
        "targetId": "peer-uuid",
        "fileName": "plan.pdf",
        "fileSize": 52428800,
        "fileType": "application/pdf",
        "timestamp": 1234567890,
    },
    "file-answer": {
        "type": "file-answer",
        "targetId": "peer-uuid",
        "accepted": True,
        "timestamp": 1234567890,
    },
    "file-chunk": {
        "type": "file-chunk",
        "targetId": "peer-uuid",
        "chunk": "JVBERi0xLjcK",
        "index": 0,
        "total": 3200,
        "timestamp": 1234567890,
    },
    "quality-change": {
        "type": "quality-change",
        "targetId": "peer-uuid",
        "quality": "low",
        "timestamp": 1234567890,
    },
    "recording-started": {"type": "recording-started", "timestamp": 1234567890},
    "recording-stopped": {"type": "recording-stopped", "timestamp": 1234567890},
}

EXAMPLES = REFERENCE | BEYOND
TEXTS = {name: json.dumps(fields) for name, fields in EXAMPLES.items()}
