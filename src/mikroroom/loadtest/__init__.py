"""``mikroroom loadtest URL``: rooms full of people who send what browsers send, and check what arrives.

Users run it on their own machine before they trust the server. Stands on the protocol alone, and on picows,
which one process needs to drive tens of thousands of messages a second. ``main`` is all of its face.
"""

import importlib.util
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run a test with these arguments of the command. Returns the exit code."""
    from mikroroom.loadtest.plan import plan  # noqa: PLC0415 - nothing of this before it is asked for

    chosen = plan(arguments)
    if importlib.util.find_spec("picows") is None:
        print("mikroroom loadtest needs picows: pip install 'mikroroom[fast]'", file=sys.stderr)
        return 1
    from mikroroom.loadtest.command import test  # noqa: PLC0415 - it needs picows

    return test(chosen)
