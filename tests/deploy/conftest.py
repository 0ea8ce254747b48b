"""What a test of nginx is given: servers, and an nginx in ``front`` of them."""

import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

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
