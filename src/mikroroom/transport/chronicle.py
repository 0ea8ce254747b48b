"""``/api/events``: what has happened in rooms, for the site around them."""

from starlette.responses import Response

from mikroroom.core.chronicle import RoomEvents
from mikroroom.protocol.administration import ListEvents
from mikroroom.transport.administration import Call
from mikroroom.transport.answers import answer


async def list_events(call: Call) -> Response:
    """``GET /api/events``: room events that are kept, from the first one after ``after``."""
    asked = call.query(ListEvents)
    after = asked.after or None
    excerpt = await call.hub.chronicle.excerpt(after, asked.limit)
    following = excerpt.events[-1].id if excerpt.events else after
    return answer(RoomEvents(excerpt.events, following, excerpt.is_complete))
