"""``mikroroom rooms``: what it understands and writes, and a server that does it."""
