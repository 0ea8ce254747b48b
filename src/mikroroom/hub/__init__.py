"""Who is connected to this process: sessions, and the way of effects to them.

Synchronous: a message is read, acted upon and handed to its receivers in one call. Only what has to wait
for something (a password being hashed, a disk) is a coroutine.
"""
