"""What the tests of ``deploy/`` are given: servers, an nginx in ``front`` of them, a ``box`` with systemd."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.box import Box, Forbidden

from mikroroom import Settings, create_app
from mikroroom.transport.bounded import BoundedProtocol
from mikroroom.transport.guard import GuardedProtocol

from .nginx import NAME, PATIENCE, Certificate, Nginx

Front = Callable[..., Nginx]
Serve = Callable[..., Awaitable[str]]
Upstream = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One for the name in the files, and for the address where it is here."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    files = Certificate(folder / "chain.pem", folder / "key.pem")
    names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        [openssl, "req", "-x509", *kind, *names, "-out", files.chain, "-keyout", files.key],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    return files


@pytest.fixture
def front(tmp_path: Path, certificate: Certificate) -> Iterator[Front]:
    """``front("127.0.0.1:3000")``: an nginx that serves until the test ends. Options are ``Nginx``'s."""
    with ExitStack() as stack:

        def start(*servers: str, **options: Any) -> Nginx:
            nginx = Nginx(tmp_path / "nginx", certificate, servers, **options)
            stack.callback(lambda: print(nginx.said()))  # pytest shows it if the test failed
            stack.callback(nginx.close)
            nginx.start()
            return nginx

        yield start


@pytest.fixture
def upstream(serve: Serve) -> Upstream:
    """``await upstream(max_rooms=5)``: a server with these settings, in this process; its host and port."""

    async def start(**settings: Any) -> str:
        app = create_app(Settings(**settings))
        url = await serve(app, http=BoundedProtocol, ws=GuardedProtocol, proxy_headers=False)
        return url.removeprefix("http://")

    return start


@pytest.fixture
async def site(upstream: Upstream, front: Front) -> Nginx:
    """A server with its limits on, and nginx in front."""
    return front(await upstream())


# The box

# What of this machine is shown in the box, where everybody may see it: a checkout may be in somebody's home.
SHOWN: dict[str, Path | str] = {
    "/opt/checkout": Path(__file__).parents[2],
    "/opt/python": sys.base_prefix,
    "/opt/packages": sysconfig.get_path("purelib"),
}

# Below those that systems give to outgoing connections, and none twice: a unit is named after it.
PORTS = iter(range(20_000 + os.getpid() % 10_000, 32_000))

# As pip writes it. A worker reads it too, and must not take itself for the parent.
COMMAND = """import sys
from mikroroom.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """A box that is as this machine, with this checkout and the tests' Python and packages in ``/opt``."""
    with ExitStack() as stack:
        try:
            box = stack.enter_context(Box(SHOWN))
        except Forbidden as reason:
            pytest.skip(f"no systemd can be booted here: {reason}")
        yield box


def free_port() -> int:
    """A port that nobody has or had."""
    for port in PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there is no free port")


def install(box: Box, version: str) -> None:
    """Put this checkout into ``/opt/mikroroom`` as a version: what pip would make of it, but at once."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    place = f"/opt/mikroroom/{version}"
    packages = f"{place}/lib/{python}/site-packages"
    box.write(f"{place}/pyvenv.cfg", "home = /opt/python/bin\n")
    box.write(f"{packages}/all.pth", "/opt/packages\n")
    box.write(f"{place}/bin/mikroroom", f"#!{place}/bin/python\n{COMMAND}")
    # A Python that was built with a library of its own looks for it where it was built.
    box.write("/etc/ld.so.conf.d/00-python.conf", "/opt/python/lib\n")
    box.run("ldconfig")
    box.run(f"ln -s /opt/python/bin/{python} {place}/bin/python && chmod +x {place}/bin/mikroroom")
    box.run(f"cp -r /opt/checkout/src/mikroroom {packages} && chmod -R a+rX {place}")
