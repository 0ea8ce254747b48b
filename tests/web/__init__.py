"""The room page in a real browser, before a real server: what it does, how it looks to those who cannot see,
and the types of its code.

What the browser complains about is a fault of the page, and of the test (``faults``).
"""
