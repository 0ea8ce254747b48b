"""What browsers get: the room page and the JavaScript client.

All files are read and compressed once, when the app is made. A request names one of them or nothing: no path
of a request ever comes near a disk. Each file has two addresses: a stable one, which is asked about anew each
time and gives it as it was written; and one with the version in it, which is kept for ever and leaves out
comments, a quarter of what would be sent. The page names the latter, and since modules import each other by
relative paths, all that a page loads is of one version.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mikroroom.settings import Web

PAGE = "index.html"
CLIENT = "mikroroom.js"

# Other files of the folder, such as an editor's copies, are not served.
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
}

ASK_ANEW = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"

CAPABILITIES = (
    "camera=(self), microphone=(self), display-capture=(self), "
    "geolocation=(), midi=(), payment=(), usb=(), serial=(), hid=()"
)

# Comments that have their lines to themselves. The page's modules have no strings over several lines.
_COMMENT = re.compile(rb"^[ \t]*(/\*(?:(?!\*/).)*\*/|//[^\n]*)[ \t]*$", re.MULTILINE | re.DOTALL)

# A weight that is one, and not 0 (RFC 9110, 12.4.2).
_WELCOME = re.compile(r"q=(1(\.0{0,3})?|0\.(?!0+\Z)[0-9]{1,3})")

# No more than what may stand in a policy: a name or IPv4 address, or IPv6 in brackets, perhaps with a port.
_HOST = re.compile(r"([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class Form(NamedTuple):
    """A file as it is sent, and a tag of its own: two forms of one file differ in it (RFC 9110, 8.8.3.3)."""

    content: bytes
    tag: str


class File(NamedTuple):
    """A file plain, and compressed where that is shorter."""

    media_type: str
    plain: Form
    packed: Form | None


class WebFiles:
    """The files of ``folder`` that are wanted: ``page``, and the others by their addresses below ``web/``."""

    def __init__(self, wanted: Web, folder: Traversable | None = None) -> None:
        contents = {} if wanted == "off" else dict(_read(folder or files("mikroroom") / "web"))
        self.version = _version(contents)
        self.page: File | None = None
        if wanted == "room":
            # Not among the others: below web/ its references would lead nowhere, and it would have no policy.
            page = contents[PAGE].replace(b'="web/', f'="web/{self.version}/'.encode())
            self.page = _file(PAGE, page)
        self._served: dict[str, tuple[File, str]] = {}
        for name, content in contents.items():
            if name != PAGE and (wanted == "room" or _is_client(name)):
                self._served[name] = _file(name, content), ASK_ANEW
                self._served[f"{self.version}/{name}"] = _file(name, _bare(name, content)), FOR_EVER

    def endpoints(self, root: str) -> dict[str, str]:
        """Where a service at ``root`` has them, for its index."""
        page = {"page": f"{root}/"} if self.page else {}
        client = {"client": f"{root}/web/{CLIENT}"} if CLIENT in self._served else {}
        return page | client

    def find(self, path: str) -> tuple[File, str] | None:
        """The file at this address, and for how long it may be kept (``Cache-Control``)."""
        return self._served.get(path)


async def web_file(request: Request) -> Response:
    """``GET /web/{path}``: one of the files, or a 404."""
    web: WebFiles = request.app.state.web
    found = web.find(request.path_params["path"])
    if found is None:
        raise HTTPException(404)
    file, keep = found
    return file_answer(request, file, {"Cache-Control": keep, "Vary": "Accept-Encoding"})


def page_for(request: Request) -> Response | None:
    """The room page; None if there is none, or something else than a page is asked for."""
    web: WebFiles = request.app.state.web
    if web.page is None or not _accepted(request, "accept").get("text/html", False):
        return None
    if _lacks_slash(request):
        return _to_the_slash(request)
    headers = {
        "Cache-Control": ASK_ANEW,
        "Vary": "Accept, Accept-Encoding",
        "Content-Security-Policy": content_policy(request.headers.get("host", "")),
        "Permissions-Policy": CAPABILITIES,
    }
    return file_answer(request, web.page, headers)


def content_policy(host: str) -> str:
    """What the page may do. Not every browser takes ``'self'`` for a WebSocket, so ``host`` is named as well.

    It is left out where it is no host: nobody adds to the policy by what they ask for.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        f"media-src 'self' blob:; connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _read(folder: Traversable, above: str = "") -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, in an order that does not depend on the disk."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _read(entry, f"{above}{entry.name}/")
        elif _suffix(entry.name) in MEDIA_TYPES:
            yield above + entry.name, entry.read_bytes()


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]


def _is_client(name: str) -> bool:
    return name == CLIENT or name.startswith("client/")


def _version(contents: Mapping[str, bytes]) -> str:
    listing = [f"{name} {_digest(content)}" for name, content in contents.items()]
    return _digest("\n".join(listing).encode())


def _bare(name: str, content: bytes) -> bytes:
    """A module without its comments. Its lines keep their numbers, for whoever reads of one in an error."""
    if _suffix(name) != "js":
        return content
    return _COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)


def _file(name: str, content: bytes) -> File:
    return pack(MEDIA_TYPES[_suffix(name)], content)


def pack(media_type: str, content: bytes) -> File:
    """A file of this content, in every form in which it may be sent."""
    tag = _digest(content)
    packed = gzip.compress(content, 9, mtime=0)
    return File(
        media_type,
        Form(content, f'"{tag}"'),
        Form(packed, f'"{tag}-gzip"') if len(packed) < len(content) else None,
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def file_answer(request: Request, file: File, headers: Mapping[str, str]) -> Response:
    """The file in the form that the client takes, or a 304 where it has that already."""
    form = file.plain
    encoding = {}
    if file.packed is not None and _takes_gzip(request):
        form, encoding = file.packed, {"Content-Encoding": "gzip"}
    headers = {**headers, "ETag": form.tag}
    if _has(request, form.tag):
        return Response(status_code=304, headers=headers)
    return Response(form.content, headers={**headers, **encoding}, media_type=file.media_type)


def _has(request: Request, tag: str) -> bool:
    """By the weak comparison (RFC 9110, 13.1.2): a proxy that compresses makes tags weak."""
    named = [each.strip().removeprefix("W/") for each in _listed(request, "if-none-match")]
    return tag in named or named == ["*"]


def _takes_gzip(request: Request) -> bool:
    accepted = _accepted(request, "accept-encoding")
    return accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", False)))


def _accepted(request: Request, header: str) -> dict[str, bool]:
    """What the client names in this header, and whether it takes it: not with a weight of 0."""
    accepted = {}
    for item in _listed(request, header):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weights = [parameter for parameter in parameters if parameter.startswith("q=")]
        accepted[name] = all(map(_WELCOME.fullmatch, weights))
    return accepted


def _listed(request: Request, header: str) -> list[str]:
    return ",".join(request.headers.getlist(header)).split(",")


def _lacks_slash(request: Request) -> bool:
    """Whether the address is ``/meet`` and not ``/meet/``, as only the path before any repair can tell."""
    raw_path = request.scope.get("raw_path") or b"/"
    return bool(request.scope.get("root_path")) and not raw_path.endswith(b"/")


def _to_the_slash(request: Request) -> Response:
    """To where the page's references lead somewhere: relative, so that it also holds behind a proxy."""
    prefix: str = request.scope["root_path"]
    query: bytes = request.scope.get("query_string", b"")
    location = f"./{quote(prefix.rpartition('/')[2])}/"
    if query:
        location += "?" + quote(query, safe="!$%&'()*+,/:;=?@[]")
    return Response(
        status_code=308, headers={"Location": location, "Cache-Control": ASK_ANEW, "Vary": "Accept"}
    )
