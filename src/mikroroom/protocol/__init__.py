"""What can be said: the messages of the signaling protocol, their codes and their encoding.

Knows nothing of sockets, rooms or clocks. ``requests`` is what a client may send, ``events`` what the
server sends, ``codes`` the error and close codes, ``codec`` the way between structs and JSON.
"""
