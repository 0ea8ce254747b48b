"""What those outside were told of a cluster, whichever workers it was that told it."""

from typing import Any

import msgspec
import redis
from tests.core.outsider import Outsider

from mikroroom.core.chronicle import RoomEvent

from .cluster import PREFIX, Cluster

# Settings with which all that happens is kept.
TELLING: dict[str, Any] = {"admin_token": "an-administrator's-token-for-tests", "events_kept": 1_000_000}


def wrongs_outside(cluster: Cluster) -> list[str]:
    """Why what was told cannot be, or is not over though everybody has gone; empty if all is well."""
    with redis.Redis(port=cluster.redis.port, socket_timeout=10) as client:
        entries = client.xrange(f"{PREFIX}chronicle")
    outsider = Outsider()
    if not entries:
        return ["nothing was told outside"]
    for name, fields in entries:
        event = msgspec.json.decode(fields[b"e"], type=RoomEvent)
        try:
            outsider.hears(event)
        except (AssertionError, KeyError) as error:
            return [f"those outside were told {event} ({name!r}): {error!r}"]
    twice = [who for who, visits in outsider.visits.items() if visits != 1]
    return [f"told outside: {what}" for what in (outsider.rooms, twice) if what]
