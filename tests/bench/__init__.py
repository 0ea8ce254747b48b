"""How fast the server is, and what each part costs: ``python -m tests.bench``, or ``make bench``.

Imports nothing of the server. Each figure is a comparison within one run: the same load, by the same
generator, on the same two cores, in turn.
"""
