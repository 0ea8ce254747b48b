"""The whole protocol, asked of a server from outside: over real sockets and through nothing but the protocol.

``pytest tests/conformance`` starts this project's server in every way it can be served and runs each test
against each of them. ``pytest tests/conformance --base-url http://host:port/prefix`` asks the same of any
server of this protocol; what needs a server with other settings is skipped then, with the reason. Several
workers that serve the same rooms are one site: ``--base-url http://host:port,http://host:port``. Each person
who comes is another worker's then, and nobody may be able to tell.

Rate limits stay on. On loopback each person comes from an address of its own (127.x.y.z), so nobody uses up
another's limit. A server elsewhere sees one address only: start it without limits per address and minute, or
most of the suite is skipped.

Nothing here imports the server (``mounted_site`` is itself one). ``people`` and ``frames`` hold the cast,
``stage`` brings it before a server, ``serving`` starts servers, and each test file is one theme.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{helper}" for helper in ("answers", "frames", "people", "stage"))
)
