"""Chromium without a window, driven by Playwright, for the tests that need a real browser.

It is the system's own: Playwright never downloads one. https://playwright.dev/python/docs/intro
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect
from pytest_asyncio import is_async_test

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

# Seconds. The first start on a machine reads the whole program from disk.
START_PATIENCE = 60.0
# Seconds within which a page must do what is expected of it, on the slowest of machines.
PATIENCE = 60.0

# What a page may be allowed to use (a context's ``permissions``). Without it, it is refused, not asked for.
DEVICES = ("camera", "microphone")

# Of several such lists Chromium heeds the last. So what Playwright would switch off is here again, as far as
# it sends Chromium to others than the test or makes something else of plain HTTP.
DISABLED_FEATURES = (
    # Peers tell each other their addresses, and not names that only a network with multicast can look up.
    "WebRtcHideLocalIpsWithMdns",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PreconnectToSearch",
)

# Beyond those of Playwright, with which no page sleeps, and Chromium needs neither its sandbox nor /dev/shm:
# tests often run as root or in a container, where neither is to be had.
FLAGS = (
    "--disable-gpu",
    # There are two cameras and some microphones. Pictures move, no faster than two cores can encode for
    # several pages, and there are beeps.
    "--use-fake-device-for-media-stream=device-count=2,fps=10",
    "--autoplay-policy=no-user-gesture-required",
    # Peers find each other on this machine alone, even where it has no network at all.
    "--allow-loopback-in-peer-connection",
    # A name of this machine that browsers do not take for it, so that its pages count as insecure.
    "--host-resolver-rules=MAP meet.test 127.0.0.1",
    # It talks to nobody but the test.
    "--no-proxy-server",
    "--disable-quic",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
)


@contextlib.asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A new browser, for as long as the block lasts. Further ``flags`` count more than the usual ones.

    Where none is installed, the test is skipped, or fails where ``CI=true``.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("Chromium is not installed")
    expect.set_options(timeout=PATIENCE * 1000)
    # All that it writes goes here.
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, "HOME": folder, "TMPDIR": folder}
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=program,
                args=[*FLAGS, *flags],
                env={**environment},
                timeout=START_PATIENCE * 1000,
            )
            try:
                yield browser
            finally:
                await browser.close()


def share_a_loop(items: Iterable[pytest.Item], folder: Path) -> None:
    """Run all tests of the folder in the session's event loop.

    A browser belongs to the loop that it was started in, and each test has its own otherwise. Fixtures that
    use the browser belong to it too: ``pytest_asyncio.fixture(loop_scope="session")``.
    """
    for item in items:
        if folder in item.path.parents and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
