"""What the REST routes answer in JSON: one struct for each kind of answer."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from mikroroom.protocol.events import IceServer


class Problem(Struct):
    """Why a request was refused, for people to read (R29)."""

    error: str


class Index(Struct):
    """What this is, and where to go on: ``endpoints`` by what they are for."""

    name: str
    version: str
    endpoints: dict[str, str]


class Health(Struct, rename="camel"):
    """That it works, and how much goes on. ``uptime`` is in milliseconds."""

    status: Literal["ok"]
    total_rooms: int
    total_participants: int
    peak_participants: int
    uptime: int
    version: str


class Ready(Struct):
    """That people may be sent here."""

    status: Literal["ready"] = "ready"


class IceConfiguration(Struct, rename="camel"):
    """ICE servers for one browser. ``ttl``: seconds for which credentials hold that were made for it."""

    ice_servers: list[IceServer]
    ttl: int | UnsetType = UNSET


class CreatedRoom(Struct, rename="camel"):
    """A room that was pre-created, and the token of its creator, which is told only here (R2)."""

    room_id: str
    creator_token: str
