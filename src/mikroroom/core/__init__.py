"""What the messages mean: rooms, moderation, rate limits, codes, tokens, passwords, ICE servers.

Pure Python. Nothing here awaits, does I/O, reads a clock or draws a random number: time and randomness
are passed in. A verb on a room checks everything, then changes, then returns its effects; a refusal is
an exception and means that nothing has changed.
"""
