"""How bytes come and go: REST over an in-process client, signaling over a server of paper."""
