"""Meetings in a real browser: video, sound and data between pages of headless Chromium, over a real server.

The page (``page.html``, ``reference-client.js``) is a client written for the API reference alone, so whatever
the rules add to the reference must not disturb it. ``people`` are those who sit before the pages.
"""
