"""Meetings over several workers that survive: workers and their Redis are killed, frozen, emptied, cut off.

``cluster`` runs one Redis and workers on ports of their own, so that a test chooses who is where; ``pipe`` is
a bad network between a worker and Redis; ``people`` come back by whichever door is open; ``count`` tells what
was said, and what became of it. The scenarios (``deaths``, ``renewals``, ``outages``, ``mishaps``,
``wanderings``) are played a few times by the tests, and many times by ``python -m tests.cluster``, which
prints their counts.
"""
