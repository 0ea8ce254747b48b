"""Who is in the examples, and what they hold: one meeting, so that all examples belong together."""

ROOM = "ABC234"
ADA = "407a2c0e-6f0e-4b0e-9d0c-3f3f6f1f9a11"  # host, and so a moderator
BOB = "4f2c8d1a-0c55-4a39-8f57-2b6d5f0f7b22"
CAROL = "5be2d9f3-71f4-4e66-8a3b-9c1f0e6d8c33"  # waits
CREATOR_TOKEN = "550e8400-e29b-41d4-a716-446655440000"  # noqa: S105 - of nobody
RESUME_TOKEN = "777a7a68-8a83-436d-8528-c9558b484b4e"  # noqa: S105 - of nobody
JOIN_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.MikroRoom"  # noqa: S105 - of nobody
BAN = "0f3a6c1e-2d4b-4f8a-9e7d-5b1c8a6f2e44"
INVITE = "77aa1b2c-9d3e-4c5f-8a6b-7c8d9e0f1a55"
NOW = 1_767_225_600_000

CANDIDATE = {
    "candidate": "candidate:1 1 udp 2122260223 192.0.2.1 54400 typ host",
    "sdpMid": "0",
    "sdpMLineIndex": 0,
}
SDP = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
ICE_SERVERS = [
    {"urls": "stun:stun.example.org:3478"},
    {"urls": "turn:turn.example.org:3478", "username": "1767312000:6a31f2", "credential": "c2VjcmV0"},
]
