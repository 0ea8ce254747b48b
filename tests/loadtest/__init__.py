"""The load tester: its parts, and the whole of it against good servers and bad ones."""
