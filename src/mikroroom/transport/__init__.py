"""How bytes come and go: REST routes, the signaling endpoint, and the connection behind a session."""
