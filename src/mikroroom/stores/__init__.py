"""Where rooms live: the port that the hub sees, and the stores behind it."""
