"""What browsers get: the room page, the JavaScript client, and nothing else that is on the disk."""

import gzip
import re
import subprocess
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import pytest
from flit_core.common import Module  # type: ignore[import-untyped] # flit_core says nothing of its types
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message

from mikroroom.transport.web import FOR_EVER, MEDIA_TYPES, WebFiles, content_policy

from .asgi import CORS_HEADERS, HERE, SECURITY_HEADERS, visit
from .conftest import AppWith

FOLDER = Path(str(resources.files("mikroroom"))) / "web"
ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file())
CLIENT_FILES = [name for name in FILES if name == "mikroroom.js" or name.startswith("client/")]
CLIENT = "/web/mikroroom.js"

Serve = Callable[..., Awaitable[str]]

# As browsers send it when an address is entered.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PLAIN = {"Accept-Encoding": "identity"}
PACKED = {"Accept-Encoding": "gzip, deflate, br, zstd"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self' ws://meet.example wss://meet.example; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def assert_headers(response: httpx.Response) -> None:
    """The security and CORS headers that any answer has, each of them once (R29)."""
    expected = {"Access-Control-Allow-Origin": "*", **SECURITY_HEADERS, **CORS_HEADERS}
    for name, value in expected.items():
        assert response.headers.get_list(name) == [value], f"{name} of {response}"


def version(app: Starlette) -> str:
    web: WebFiles = app.state.web
    return web.version


def page_of(version: str) -> bytes:
    """The page as it should be sent."""
    return (FOLDER / "index.html").read_bytes().replace(b'="web/', f'="web/{version}/'.encode())


class Reading(HTMLParser):
    """What a page refers to outside of itself, and what is inline in it, which its policy forbids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = [value or "" for name, value in attrs if name in {"href", "src", "action", "srcset"}]
        self.references += [value for value in named if not value.startswith("#")]
        if tag == "style" or (tag == "script" and not named):
            self.inline.append(tag)
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]


async def raw(app: Starlette, path: str, *headers: tuple[bytes, bytes], **scope: Any) -> httpx.Response:
    """The answer to a request as no client would make it."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    request = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "client": (HERE, 1),
    }
    await app({**request, **scope}, receive, send)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


# The page


async def test_a_browser_gets_the_page(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/", headers=BROWSER)
    assert response.status_code == 200
    assert response.content == page_of(version(app))
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["Permissions-Policy"] == (
        "camera=(self), microphone=(self), display-capture=(self), "
        "geolocation=(), midi=(), payment=(), usb=(), serial=(), hid=()"
    )
    assert_headers(response)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "TEXT/HTML",
        "application/json, text/html",
        "text/html;level=1;q=0.1",
        "*/*;q=0.5 , text/html ; q=1.000",
        "text/html;q=0.001",
    ],
)
async def test_whoever_takes_html_gets_the_page(app: Starlette, accept: str) -> None:
    async with visit(app) as client:
        response = await client.get("/", headers={"Accept": accept})
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "",
        "application/json",
        "text/*",
        "text/html5",
        "text/html;q=0",
        "text/html; Q=0.000, */*",
        "text/html;q=",
        "text/html;q=-1",
        "text/html;q=nan",
        "text/html;q=1.5",
        ",;,q=1",
        "é",
    ],
)
async def test_whoever_does_not_gets_the_index(app: Starlette, accept: str) -> None:
    async with visit(app) as client:
        response = await client.get("/", headers={b"Accept": accept.encode()})
    assert response.status_code == 200
    assert response.json()["name"] == "MikroRoom"
    assert response.headers["Vary"] == "Accept"
    assert "Content-Security-Policy" not in response.headers
    assert_headers(response)


async def test_accept_over_two_headers_counts_as_one(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get("/", headers=[("Accept", "application/json"), ("Accept", "text/html")])
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_a_request_without_accept_gets_the_index(app: Starlette) -> None:
    response = await raw(app, "/")
    assert response.json()["name"] == "MikroRoom"


async def test_the_page_is_asked_about_anew_and_not_sent_again(app: Starlette) -> None:
    async with visit(app) as client:
        first = await client.get("/", headers=BROWSER)
        tag = first.headers["ETag"]
        again = await client.get("/", headers={**BROWSER, "If-None-Match": tag})
        index = await client.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy", "Permissions-Policy"):
        assert again.headers[name] == first.headers[name]
    assert index.status_code == 200, "that is not what the tag is of"


async def test_the_page_names_its_files_by_their_version(app: Starlette) -> None:
    async with visit(app) as client:
        page = await client.get("/", headers=BROWSER)
        assert re.fullmatch("[0-9a-f]{16}", version(app))
        references = Reading(page.text).references
        assert references
        for reference in references:
            assert reference.startswith(f"web/{version(app)}/")
            response = await client.get(reference)
            assert (response.status_code, response.headers["Cache-Control"]) == (200, FOR_EVER)


def test_what_the_page_names_is_in_the_folder() -> None:
    for reference in Reading((FOLDER / "index.html").read_text("utf-8")).references:
        assert reference.startswith("web/"), "relative, so that it holds under any prefix"
        assert reference.removeprefix("web/") in FILES


def test_the_page_has_nothing_in_it_that_its_policy_forbids() -> None:
    assert Reading((FOLDER / "index.html").read_text("utf-8")).inline == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", CLIENT])
async def test_the_page_and_its_files_are_only_read(app: Starlette, method: str, path: str) -> None:
    async with visit(app) as client:
        response = await client.request(method, path, headers=BROWSER)
    assert response.status_code == 405
    assert response.json() == {"error": "Method Not Allowed"}


# The policy


@pytest.mark.parametrize(
    "host",
    [
        "meet.example",
        "Meet.Example:8443",
        "localhost:3000",
        "127.0.0.1:3000",
        "[::1]:3000",
        "[2001:db8::1]",
        "xn--bcher-kva.example",
    ],
)
async def test_the_policy_names_the_host_for_websockets(app: Starlette, host: str) -> None:
    async with visit(app) as client:
        response = await client.get("/", headers={**BROWSER, "Host": host})
    policy = response.headers["Content-Security-Policy"]
    assert f"; connect-src 'self' ws://{host} wss://{host}; " in policy
    assert policy == POLICY.replace("meet.example", host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.example",
        "evil.example; script-src *",
        "meet.example evil.example",
        "meet.example,evil.example",
        "meet.example:*",
        "meet.example:",
        "meet.example:123456",
        "meet.example/path",
        "meet.example\n",
        "user@meet.example",
        "meet..example",
        "::1",
        "[::1",
        "[::1]x",
        "'unsafe-inline'",
        "bücher.example",
        "１２７.0.0.1",
    ],
)
async def test_what_is_no_host_is_not_in_the_policy(app: Starlette, host: str) -> None:
    plain = POLICY.replace(" ws://meet.example wss://meet.example", "")
    assert content_policy(host) == plain
    response = await raw(app, "/", (b"accept", b"text/html"), (b"host", host.encode()))
    assert response.headers["Content-Security-Policy"] == plain


async def test_without_a_host_the_policy_names_none(app: Starlette) -> None:
    response = await raw(app, "/", (b"accept", b"text/html"))
    assert "; connect-src 'self'; " in response.headers["Content-Security-Policy"]


# The files


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
async def test_each_file_has_a_stable_address_and_one_of_its_version(app: Starlette, name: str) -> None:
    content = (FOLDER / name).read_bytes()
    async with visit(app) as client:
        stable = await client.get(f"/web/{name}")
        versioned = await client.get(f"/web/{version(app)}/{name}")
    assert stable.content == content
    for response in (stable, versioned):
        assert response.status_code == 200
        assert response.headers["Content-Type"] == MEDIA_TYPES[name.rpartition(".")[2]]
        assert response.headers["Vary"] == "Accept-Encoding"
        assert "Content-Security-Policy" not in response.headers
        assert_headers(response)
    assert stable.headers["Cache-Control"] == "no-cache"
    assert versioned.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
async def test_a_version_leaves_out_comments_and_nothing_else(app: Starlette, name: str) -> None:
    async with visit(app) as client:
        versioned = (await client.get(f"/web/{version(app)}/{name}")).text.splitlines()
    written = (FOLDER / name).read_text().splitlines()
    assert len(versioned) == len(written)
    for bare, full in zip(versioned, written, strict=True):
        assert bare == full or (not bare and full.lstrip().startswith(("//", "/*", "*")))


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("/** A thing. */\nconst a = 1;\n", "\nconst a = 1;\n"),
        ("  /*\n * Two\n */\nb();\n", "\n\n\nb();\n"),
        ("// why\nc();  // at the end of a line\n", "\nc();  // at the end of a line\n"),
        ("/** @type {any} */ (d).e();\n/* f */\n", "/** @type {any} */ (d).e();\n\n"),
        ('const address = "https://example.org";\n', 'const address = "https://example.org";\n'),
    ],
)
def test_only_comments_with_lines_to_themselves_are_left_out(tmp_path: Path, written: str, bare: str) -> None:
    (tmp_path / "mikroroom.js").write_text(written)
    web = WebFiles("client", tmp_path)
    found = web.find(f"{web.version}/mikroroom.js")
    assert found is not None
    assert found[0].plain.content.decode() == bare


async def test_a_script_is_javascript_in_utf_8(app: Starlette) -> None:
    async with visit(app) as client:
        response = await client.get(CLIENT)
    assert response.headers.get_list("Content-Type") == ["text/javascript; charset=utf-8"]


async def test_the_page_has_no_second_address(app: Starlette) -> None:
    """Where its references would lead nowhere, and nothing would bound what it may do."""
    async with visit(app) as client:
        for path in ("/index.html", "/web/index.html", f"/web/{version(app)}/index.html"):
            assert (await client.get(path, headers=BROWSER)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/web",
        "/web/",
        "/web//",
        "/web/.",
        "/web/client",
        "/web/client/",
        "/web/nope.js",
        "/web/MIKROROOM.JS",
        "/web/mikroroom.js/",
        "/web//mikroroom.js",
        "/web/client/../mikroroom.js",
        "/web/./mikroroom.js",
        "/web/../settings.py",
        "/web/../../../pyproject.toml",
        "/web/..\\settings.py",
        "/web//etc/passwd",
        f"/web/{FOLDER}/mikroroom.js",
        "/web/mikroroom.js\0",
        "/web/mikroroom.js\0.png",
        "/web/0123456789abcdef/mikroroom.js",
        "/web/\ud800",
        "/mikroroom.js",
    ],
)
async def test_what_is_no_file_is_not_found(app: Starlette, path: str) -> None:
    """As the server would hand it on, with everything decoded."""
    response = await raw(app, path, (b"accept", b"text/html"))
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})
    assert_headers(response)


@pytest.mark.parametrize(
    "path",
    [
        "/web/%2e%2e/settings.py",
        "/web/%2e%2e%2fsettings.py",
        "/web/..%2fsettings.py",
        "/web/..%5csettings.py",
        "/web/%252e%252e/settings.py",
        "/web/%2fetc/passwd",
        "/web/mikroroom.js%00",
        "/web/client%2f..%2fmikroroom.js",
        "/web/%ff",
    ],
)
async def test_no_encoding_leads_out_of_the_folder(app: Starlette, path: str) -> None:
    async with visit(app) as client:
        response = await client.get(path)
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


async def test_a_version_stands_nowhere_but_in_front(app: Starlette) -> None:
    async with visit(app) as client:
        for path in ("", "/", f"/{version(app)}/mikroroom.js", "/web/mikroroom.js"):
            assert (await client.get(f"/web/{version(app)}{path}")).status_code == 404


@pytest.mark.parametrize("path", ["/", CLIENT])
@pytest.mark.parametrize("encoding", [PLAIN, PACKED])
async def test_a_head_is_the_answer_without_its_body(
    app: Starlette, path: str, encoding: dict[str, str]
) -> None:
    async with visit(app) as client:
        get = await client.get(path, headers={**BROWSER, **encoding})
        head = await client.head(path, headers={**BROWSER, **encoding})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == get.headers


async def test_every_origin_may_load_the_client(app_with: AppWith) -> None:
    async with visit(app_with()) as client:
        response = await client.get(CLIENT, headers={"Origin": "https://www.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_with_a_list_of_origins_all_that_an_answer_varies_with_is_named(app_with: AppWith) -> None:
    async with visit(app_with(allowed_origins=("https://www.example",))) as client:
        page = await client.get("/", headers=BROWSER)
        index = await client.get("/")
        script = await client.get(CLIENT, headers={"Origin": "https://www.example"})
    assert page.headers.get_list("Vary") == ["Accept, Accept-Encoding, Origin"]
    assert index.headers.get_list("Vary") == ["Accept, Origin"]
    assert script.headers.get_list("Vary") == ["Accept-Encoding, Origin"]
    assert script.headers["Access-Control-Allow-Origin"] == "https://www.example"


# Compressed


async def test_who_takes_gzip_gets_it_where_that_is_shorter(tmp_path: Path, app: Starlette) -> None:
    (tmp_path / "mikroroom.js").write_bytes(b"export {};\n" * 1_000)
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "tiny.js").write_bytes(b"1")
    app.state.web = WebFiles("client", tmp_path)
    async with visit(app) as client:
        long = await client.get(CLIENT, headers=PACKED)
        plain = await client.get(CLIENT, headers=PLAIN)
        short = await client.get("/web/client/tiny.js", headers=PACKED)
    assert long.headers["Content-Encoding"] == "gzip"
    assert int(long.headers["Content-Length"]) < 200
    assert long.content == plain.content == b"export {};\n" * 1_000
    assert long.headers["ETag"] != plain.headers["ETag"], "a strong one is of these very bytes"
    assert "Content-Encoding" not in short.headers
    assert short.content == b"1"


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.1", True),
        ("x-gzip", True),
        ("*", True),
        ("identity, *;q=0.5", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=much", False),
        ("gzipped", False),
    ],
)
async def test_the_client_says_whether_it_takes_gzip(app: Starlette, accept: str, packed: bool) -> None:
    async with visit(app) as client:
        for path in ("/", CLIENT):
            response = await client.get(path, headers={**BROWSER, "Accept-Encoding": accept})
            assert ("Content-Encoding" in response.headers) is packed


async def test_a_client_that_says_nothing_of_encodings_gets_none(app: Starlette) -> None:
    response = await raw(app, CLIENT)
    assert "Content-Encoding" not in response.headers
    assert response.content == (FOLDER / "mikroroom.js").read_bytes()


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    """However often, and on whatever worker: the tags of one must hold with all others."""
    (tmp_path / "mikroroom.js").write_bytes(b"export {};\n" * 100)
    first, second = (WebFiles("client", tmp_path) for _ in range(2))
    assert first.version == second.version
    assert first.find("mikroroom.js") == second.find("mikroroom.js")
    found = first.find("mikroroom.js")
    assert found is not None
    file, _ = found
    assert file.packed is not None
    assert gzip.decompress(file.packed.content) == file.plain.content


def test_any_change_makes_another_version(tmp_path: Path) -> None:
    versions = []

    def note() -> None:
        versions.append(WebFiles("client", tmp_path).version)

    script = tmp_path / "mikroroom.js"
    script.write_text("1")
    note()
    script.write_text("2")
    note()
    (tmp_path / "icon.svg").write_text("2")
    note()
    (tmp_path / "icon.svg").rename(tmp_path / "sign.svg")
    note()
    assert len(set(versions)) == 4


# Cached


@pytest.mark.parametrize("encoding", [PLAIN, PACKED])
@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', '"other" ,W/{}', "*"])
async def test_a_file_that_the_client_has_is_not_sent_again(
    app: Starlette, encoding: dict[str, str], known: str
) -> None:
    async with visit(app) as client:
        for path in (CLIENT, f"/web/{version(app)}/mikroroom.js"):
            first = await client.get(path, headers=encoding)
            tag = first.headers["ETag"]
            assert re.fullmatch('"[0-9a-f]{16}(-gzip)?"', tag)
            again = await client.get(path, headers={**encoding, "If-None-Match": known.format(tag)})
            assert (again.status_code, again.content) == (304, b"")
            for name in ("ETag", "Cache-Control", "Vary"):
                assert again.headers[name] == first.headers[name]
            assert not {"Content-Type", "Content-Length", "Content-Encoding"} & set(again.headers)
            assert_headers(again)
            head = await client.head(path, headers={**encoding, "If-None-Match": tag})
            assert head.status_code == 304


async def test_a_file_of_another_tag_is_sent(app: Starlette) -> None:
    async with visit(app) as client:
        packed = (await client.get(CLIENT, headers=PACKED)).headers["ETag"]
        for known in ("", '"other"', packed, packed.strip('"'), f'"x{packed}'):
            response = await client.get(CLIENT, headers={**PLAIN, "If-None-Match": known})
            assert response.status_code == 200


# Less of it


async def test_with_the_client_only_there_is_no_page(app_with: AppWith) -> None:
    app = app_with(web="client")
    async with visit(app) as client:
        index = await client.get("/", headers=BROWSER)
        for name in FILES:
            found = await client.get(f"/web/{name}")
            assert found.status_code == (200 if name in CLIENT_FILES else 404), name
        assert (await client.get(f"/web/{version(app)}/mikroroom.js")).status_code == 200
    assert index.json()["endpoints"]["client"] == CLIENT
    assert "page" not in index.json()["endpoints"]
    assert "Vary" not in index.headers, "it is the same for everyone"


async def test_with_the_web_off_there_is_nothing_for_browsers(app_with: AppWith) -> None:
    app = app_with(web="off")
    async with visit(app) as client:
        index = await client.get("/", headers=BROWSER)
        for name in FILES:
            assert (await client.get(f"/web/{name}")).status_code == 404
        assert (await client.get(f"/web/{version(app)}/mikroroom.js")).status_code == 404
    assert not {"page", "client"} & set(index.json()["endpoints"])
    assert "Vary" not in index.headers


# Prefixes


def mounted(app: Starlette) -> Starlette:
    return Starlette(routes=[Mount("/meet", app)])


async def assert_served(client: httpx.AsyncClient, address: str) -> None:
    """The page is at this address, and its files where it names them, as a browser would look for them."""
    page = await client.get(address, headers=BROWSER)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8", page
    assert page.headers["Content-Security-Policy"] == POLICY
    assert_headers(page)
    for reference in Reading(page.text).references:
        assert (await client.get(page.url.join(reference))).status_code == 200
    assert (await client.get(page.url.join("web/mikroroom.js"))).status_code == 200


async def test_the_page_is_served_by_a_site_that_mounts_it(app: Starlette) -> None:
    async with visit(mounted(app)) as client:
        await assert_served(client, "/meet/?room=ABC123")
        index = await client.get("/meet/")
        assert index.json()["endpoints"]["client"] == "/meet/web/mikroroom.js"
        assert index.json()["endpoints"]["page"] == "/meet/"
        for path in ("/web/mikroroom.js", "/meet/web/../settings.py", "/meet/web/%2e%2e/settings.py"):
            assert (await client.get(path)).status_code == 404


async def test_the_page_is_served_with_the_prefix_and_without(app_with: AppWith) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        await assert_served(client, "/meet/?room=ABC123")
        await assert_served(client, "/?room=ABC123")


async def test_the_page_is_served_where_the_server_knows_the_prefix(app: Starlette) -> None:
    """As with ``uvicorn --root-path``."""
    async with visit(app, root_path="/meet") as client:
        await assert_served(client, "/meet/")


async def test_an_address_without_its_slash_leads_to_the_one_with_it(app_with: AppWith) -> None:
    for app, options in (
        (app_with(root_path="/a/meet"), {}),
        (app_with(), {"root_path": "/a/meet"}),
        (Starlette(routes=[Mount("/a/meet", app_with())]), {}),
    ):
        async with visit(app, **options) as client:
            client.follow_redirects = True
            response = await client.get("/a/meet?room=ABC123&x=%20%22", headers=BROWSER)
            assert response.url == "http://meet.example/a/meet/?room=ABC123&x=%20%22"
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            (redirect,) = response.history
            assert redirect.status_code in {307, 308}


async def test_the_redirect_is_relative_and_kept_by_nobody(app_with: AppWith) -> None:
    async with visit(app_with(root_path="/a/meet")) as client:
        for ask in (client.get, client.head):
            response = await ask("/a/meet?room=ABC123", headers=BROWSER)
            assert (response.status_code, response.headers["Location"]) == (308, "./meet/?room=ABC123")
            assert (response.headers["Cache-Control"], response.headers["Vary"]) == ("no-cache", "Accept")
            assert_headers(response)
        bare = await client.get("/a/meet", headers=BROWSER)
        assert bare.headers["Location"] == "./meet/"


async def test_only_the_page_needs_the_slash(app_with: AppWith) -> None:
    async with visit(app_with(root_path="/meet")) as client:
        index = await client.get("/meet")
        assert index.json()["endpoints"]["client"] == "/meet/web/mikroroom.js"
        assert (await client.get("/meet/web/mikroroom.js", headers=BROWSER)).status_code == 200
    async with visit(app_with(root_path="/meet", web="client")) as client:
        index = await client.get("/meet", headers=BROWSER)
        assert index.json()["endpoints"]["client"] == "/meet/web/mikroroom.js"


async def test_a_redirect_says_nothing_but_the_prefix(app: Starlette) -> None:
    """Whatever stands in it: another host, another scheme, or the end of the header."""
    for prefix, location in (
        ("//evil.example", "./evil.example/"),
        ("/javascript:alert", "./javascript%3Aalert/"),
        ("/a b\r\nX: y", "./a%20b%0D%0AX%3A%20y/"),
        ("/café", "./caf%C3%A9/"),
    ):
        response = await raw(
            app, prefix, (b"accept", b"text/html"), root_path=prefix, raw_path=prefix.encode()
        )
        assert (response.status_code, response.headers["Location"]) == (308, location)


async def test_a_query_cannot_break_out_of_the_redirect(app: Starlette) -> None:
    scope = {"root_path": "/meet", "raw_path": b"/meet", "query_string": b"a=%0d\r\nX: \xff<"}
    response = await raw(app, "/meet", (b"accept", b"text/html"), **scope)
    assert response.headers["Location"] == "./meet/?a=%0d%0D%0AX:%20%FF%3C"


async def test_a_server_that_does_not_tell_the_raw_path_gets_the_page(app: Starlette) -> None:
    for raw_path in ({}, {"raw_path": None}):
        response = await raw(app, "/meet/", (b"accept", b"text/html"), root_path="/meet", **raw_path)
        assert response.status_code == 200


# Over a wire


@pytest.mark.parametrize("http", ["h11", "httptools", "mikroroom.transport.bounded:BoundedProtocol"])
async def test_a_server_sends_it_all(app_with: AppWith, serve: Serve, http: str) -> None:
    app = app_with(root_path="/meet")
    url = await serve(app, http=http)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        page = await client.get("/meet/", headers=BROWSER)
        assert page.text == page_of(version(app)).decode()
        assert f" ws://{client.base_url.netloc.decode()} " in page.headers["Content-Security-Policy"]
        script = await client.get(f"/meet/web/{version(app)}/mikroroom.js")
        assert script.headers["Content-Encoding"] == "gzip"
        head = await client.head(script.url)
        assert (head.content, head.headers["Content-Length"]) == (b"", script.headers["Content-Length"])
        again = await client.get(script.url, headers={"If-None-Match": script.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        redirect = await client.get("/meet?x=y", headers=BROWSER)
        assert (redirect.status_code, redirect.headers["Location"]) == (308, "./meet/?x=y")
        for path in (b"/meet/web/../settings.py", b"/meet/web/%2e%2e/settings.py"):
            out = await client.get(httpx.URL(url).copy_with(raw_path=path))
            assert (out.status_code, out.json()) == (404, {"error": "Not Found"})


# The package


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_of_a_known_type(name: str) -> None:
    """Others would lie in the folder and not be served."""
    assert PurePosixPath(name).suffix.removeprefix(".") in MEDIA_TYPES


def test_the_files_are_in_the_wheel() -> None:
    inside = {Path(path) for path in Module("mikroroom", ROOT).iter_files()}
    assert {ROOT / "src" / "mikroroom" / "web" / name for name in FILES} <= inside


def test_no_file_is_kept_out_of_the_repository() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not in a repository")
    names = "\0".join(f"src/mikroroom/web/{name}" for name in FILES)
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=ROOT,
        input=names.encode(),
        capture_output=True,
        check=False,
    )
    assert (ignored.returncode, ignored.stdout) == (1, b""), ignored.stderr.decode()


def test_what_is_no_file_of_the_web_is_not_read(tmp_path: Path) -> None:
    for name in ("mikroroom.js", "mikroroom.js~", "notes.txt", ".hidden", "client.py"):
        (tmp_path / name).write_text("1")
    web = WebFiles("client", tmp_path)
    assert web.find("mikroroom.js") is not None
    assert web.find("mikroroom.js~") is None
    assert WebFiles("off", tmp_path / "nowhere").find("mikroroom.js") is None
