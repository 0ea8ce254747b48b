"""Meetings that survive: real servers are stopped, killed, starved and cut off while people talk.

``servers`` runs and ends them, ``people`` come back by themselves and check every number they hear, ``score``
counts what was said and what was heard. The scenarios (``crashes``, ``restarts``, ``cuts``) are played a few
times by the tests, and many times by ``python -m tests.reliability``, which prints the figures of
``docs/reliability.md``.
"""
