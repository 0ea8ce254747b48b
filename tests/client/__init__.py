"""The client that comes back: its parts, against a server played word by word, and against a real one."""
