"""``mikroroom rooms``: the rooms of a server that runs, administered from a terminal.

``command`` understands what is typed, ``site`` asks the server, ``tables`` writes what people read. The
server need not be on this machine, nor of this version: what it is asked stands in ``docs/protocol.md``.
"""

from mikroroom.rooms.command import main

__all__ = ["main"]
