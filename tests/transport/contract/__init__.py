"""What an ASGI WebSocket server owes its apps and its clients, asked of each protocol class that we run on.

The expectations are those of RFC 6455 and of the ASGI specification (WebSocket, 2.5). Where a protocol is
known to fall short, ``faults`` says so and why.
"""
