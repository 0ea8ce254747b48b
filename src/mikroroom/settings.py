"""Every setting of the server, once: its name, default, bounds and meaning.

``Settings`` is the only list: environment variables, the command's flags, the keys of a TOML file, the help
and the README's table are all derived from its fields. What the settings are for is not known here.
"""

import base64
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

PREFIX = "MIKROROOM_"
MASK = "********"

# The flag and variable that names the TOML file. It says where settings are, so it cannot be one of them.
CONFIG = "config"
# Likewise of ours, and none of the server's settings: where ``mikroroom rooms`` finds the server.
URL = "url"


Origin = Annotated[str, Meta(pattern=r"^(\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+)$")]
StunUrl = Annotated[str, Meta(pattern=r"^stuns?:[^/?#\s]+$")]
TurnUrl = Annotated[str, Meta(pattern=r"^turns?:[^/?#\s]+(\?transport=(udp|tcp))?$")]

# Exact, because the Redis client is not: of a password with a "/" in it, it makes a host and a database.
_REDIS = (
    r"^(rediss?://([^\s/?#@]*@)?([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])?(:\d{1,5})?(/\d*)?(\?[^\s#]*)?"
    r"|unix://([^\s/?#@]*@)?/[^\s?#]+(\?[^\s#]*)?)?\Z"
)

_WHSEC = r"whsec_[A-Za-z0-9+/]{32,87}={0,2}"

RoomEventType = Literal[
    "room.started",
    "room.ended",
    "room.moderated",
    "participant.joined",
    "participant.left",
    "participant.waiting",
    "participant.waiting-left",
]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
WebSocketProtocol = Literal["auto", "picows", "stock"]
DirectPath = Literal["auto", "off"]
Web = Literal["room", "client", "off"]
Metrics = Literal["on", "off"]
Contracts = Literal["on", "off"]
JoinTokens = Literal["optional", "required"]


def _about(description: str, *, allowed: str = "", kind: str = "", **bounds: Any) -> Meta:
    """What a field says of itself; ``kind`` may be "path", or "secret" for what is never shown."""
    return Meta(description=description, extra={"allowed": allowed, "kind": kind}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one server behaves. Raises ``SettingsError`` if values are out of bounds or at odds."""

    host: Annotated[
        str,
        _about(
            "Address to listen on; `::` is every address, IPv4 included",
            allowed="an address or host name",
            min_length=1,
        ),
    ] = "127.0.0.1"
    port: Annotated[int, _about("Port to listen on; 0 takes any free one", ge=0, le=65535)] = 3000
    root_path: Annotated[
        str,
        _about(
            "Path prefix under which a reverse proxy shows the service",
            allowed="nothing, or a path such as /meet with no slash at its end",
            pattern=r"^(/[^/?#\s]+)*$",
        ),
    ] = ""
    web: Annotated[
        Web,
        _about(
            "What browsers get: `room` the room page and the JavaScript client, `client` the client only, "
            "`off` neither"
        ),
    ] = "room"
    contracts: Annotated[
        Contracts,
        _about("Whether `/docs`, `/openapi.json` and `/asyncapi.json` tell what can be asked and said"),
    ] = "on"
    data_dir: Annotated[
        str,
        _about(
            "Directory that keeps rooms over a restart; empty keeps them in memory only",
            allowed="a directory",
            kind="path",
        ),
    ] = ""
    redis_url: Annotated[
        str,
        _about(
            "Redis that several workers share; empty is one process by itself",
            allowed="nothing, or a URL such as redis://:PASSWORD@127.0.0.1:6379/0 (rediss: with TLS; unix: a "
            "path), its password percent-encoded",
            kind="secret",
            pattern=_REDIS,
        ),
    ] = ""
    redis_prefix: Annotated[
        str,
        _about(
            "What every key in Redis begins with",
            allowed="1 to 64 ASCII letters, digits and signs, but no brackets or braces, no `*`, `?` or `\\`",
            pattern=r"^(?!.*[*?\[\]{}\\])[!-~]{1,64}\Z",
        ),
    ] = "mikroroom:"
    workers: Annotated[
        int, _about("Processes that `mikroroom serve` runs; more than one need `redis_url`", ge=1, le=1024)
    ] = 1
    worker_lease: Annotated[
        float,
        _about(
            "Seconds after which a worker that was not heard of is taken for dead by the others",
            ge=2,
            le=300,
        ),
    ] = 10.0
    hang_timeout: Annotated[
        float,
        _about(
            "Seconds after which a worker of `mikroroom serve` that shows no sign of life is killed and "
            "replaced; 0 is never",
            ge=0,
            le=3600,
        ),
    ] = 30.0
    allowed_origins: Annotated[
        tuple[Origin, ...],
        _about(
            "Web origins whose pages may connect; `*` is any",
            allowed="* or origins such as https://meet.example.org, no path",
        ),
    ] = ("*",)
    trusted_proxies: Annotated[
        tuple[str, ...],
        _about(
            "Reverse proxies whose `X-Forwarded-For` is believed",
            allowed="addresses, or networks such as 10.0.0.0/8 with no host bits set",
        ),
    ] = ("127.0.0.1", "::1")
    tls_certificate: Annotated[
        str,
        _about(
            "Certificate chain (PEM), to serve TLS without a proxy", allowed="a readable file", kind="path"
        ),
    ] = ""
    tls_key: Annotated[
        str, _about("Private key (PEM) of the certificate", allowed="a readable file", kind="path")
    ] = ""

    max_rooms: Annotated[int, _about("Rooms at one time", ge=1, le=1_000_000)] = 10_000
    max_latent_rooms: Annotated[
        int, _about("Pre-created rooms standing empty at one time", ge=0, le=1_000_000)
    ] = 10
    latent_room_age: Annotated[
        float,
        _about("Seconds after which a pre-created room that stands empty is removed", gt=0, le=31_536_000),
    ] = 86_400.0
    max_participants: Annotated[int, _about("Ceiling of a room's `maxParticipants`", ge=1, le=1000)] = 100
    default_participants: Annotated[
        int, _about("A room's `maxParticipants` where none is asked for, under that ceiling", ge=1, le=1000)
    ] = 8
    max_waiting: Annotated[int, _about("People in one waiting room", ge=0, le=10_000)] = 50
    resume_window: Annotated[
        float,
        _about(
            "Seconds for which a lost connection may be resumed, and a room waits that everyone has lost; 0 "
            "turns resuming off",
            ge=0,
            le=3600,
        ),
    ] = 30.0
    resume_messages: Annotated[
        int, _about("Messages kept for each participant that may resume", ge=0, le=10_000)
    ] = 256
    resume_bytes: Annotated[
        int,
        _about(
            "Bytes kept for each participant that may resume, at most half of `max_outbox_bytes`",
            ge=0,
            le=1_073_741_824,
        ),
    ] = 262_144
    chat_history: Annotated[
        int,
        _about(
            "Chat messages that a room keeps for those who come later, 64 KiB at most, less where "
            "`max_outbox_bytes` is below 1 MiB; 0 keeps none",
            ge=0,
            le=1000,
        ),
    ] = 0
    kick_wait: Annotated[
        float, _about("Seconds for which a kicked address must ask to be let in again", ge=0, le=86_400)
    ] = 600.0
    join_timeout: Annotated[
        float, _about("Seconds within which a connection must join a room", gt=0, le=3600)
    ] = 30.0

    join_tokens: Annotated[
        JoinTokens,
        _about("Whether joining needs a token: a join token, or an invite; `authorize_join` stands for one"),
    ] = "optional"
    join_token_secret: Annotated[
        str,
        _about(
            "Secret that join tokens are signed with (HS256)",
            allowed="nothing, or 32 to 512 printable ASCII characters without spaces",
            kind="secret",
            pattern=r"^([!-~]{32,512})?\Z",
        ),
    ] = ""
    join_token_keys: Annotated[
        str,
        _about(
            "File with the keys of join tokens, a JSON Web Key Set; read anew when it changes",
            allowed="a readable file",
            kind="path",
        ),
    ] = ""
    join_token_audience: Annotated[
        str, _about("What `aud` of join tokens must be", allowed="text", min_length=1)
    ] = "mikroroom"  # noqa: S105 - it is no secret
    join_token_leeway: Annotated[
        float, _about("Seconds by which clocks may differ from that of who signs join tokens", ge=0, le=300)
    ] = 30.0
    hook_timeout: Annotated[float, _about("Seconds that the site's own hooks may take", gt=0, le=60)] = 5.0

    connections_per_minute: Annotated[
        int, _about("WebSocket connections per address and minute; 0 is no limit", ge=0, le=1_000_000)
    ] = 10
    rooms_per_minute: Annotated[
        int, _about("Attempts to make a room per address and minute; 0 is no limit", ge=0, le=1_000_000)
    ] = 10
    configs_per_minute: Annotated[
        int, _about("Requests for `/config` per address and minute; 0 is no limit", ge=0, le=1_000_000)
    ] = 60
    guesses_per_minute: Annotated[
        int,
        _about("Wrong passwords, codes and tokens per address and minute; 0 is no limit", ge=0, le=1_000_000),
    ] = 10
    messages_per_second: Annotated[
        float, _about("Messages per connection and second, sustained; 0 is no limit", ge=0, le=1_000_000)
    ] = 100.0
    message_burst: Annotated[int, _about("Messages per connection at once", ge=1, le=1_000_000)] = 300
    refused_messages: Annotated[
        int, _about("Refused messages within 10 s that close a connection; 0 is no limit", ge=0, le=1_000_000)
    ] = 1000
    max_message_bytes: Annotated[int, _about("Size of one WebSocket message", ge=1024, le=16_777_216)] = (
        262_144
    )
    max_body_bytes: Annotated[int, _about("Size of one HTTP request body", ge=256, le=16_777_216)] = 16_384
    max_outbox_bytes: Annotated[
        int, _about("Bytes that may wait for a slow reader before it is closed", ge=1024, le=1_073_741_824)
    ] = 1_048_576

    websocket_protocol: Annotated[
        WebSocketProtocol,
        _about("What `mikroroom serve` speaks WebSocket with; `auto` is picows where that is installed"),
    ] = "auto"
    direct_path: Annotated[
        DirectPath,
        _about("`auto` passes messages by plain call where the server offers it, `off` always by ASGI"),
    ] = "auto"
    ping_interval: Annotated[float, _about("Seconds between pings of a WebSocket", gt=0, le=3600)] = 20.0
    ping_timeout: Annotated[float, _about("Seconds to wait for the answer to a ping", gt=0, le=3600)] = 20.0
    drain_time: Annotated[
        float,
        _about(
            "Seconds over which many WebSockets are closed when the server stops, at most `shutdown_timeout`",
            ge=0,
            le=3600,
        ),
    ] = 2.0
    shutdown_timeout: Annotated[
        int,
        _about(
            "Seconds that all connections have to end when the server stops, `drain_time` included",
            ge=0,
            le=3600,
        ),
    ] = 5

    stun_servers: Annotated[
        tuple[StunUrl, ...],
        _about("STUN servers given to clients", allowed="URLs such as stun:stun.example.org:3478"),
    ] = ("stun:stun.cloudflare.com:3478",)
    turn_servers: Annotated[
        tuple[TurnUrl, ...],
        _about(
            "TURN servers given to clients", allowed="URLs such as turn:turn.example.org:3478?transport=udp"
        ),
    ] = ()
    turn_username: Annotated[str, _about("User name for the TURN servers", allowed="text")] = ""
    turn_credential: Annotated[
        str, _about("Password for the TURN servers", allowed="text", kind="secret")
    ] = ""
    turn_secret: Annotated[
        str,
        _about(
            "Secret shared with the TURN servers (coturn: `static-auth-secret`), for short-lived credentials",
            allowed="text",
            kind="secret",
        ),
    ] = ""
    turn_credential_ttl: Annotated[
        int, _about("Seconds for which such a credential is valid", ge=60, le=31_536_000)
    ] = 86_400

    metrics: Annotated[
        Metrics, _about("Whether `/metrics` tells Prometheus what goes on (the extra `metrics`)")
    ] = "on"
    metrics_host: Annotated[
        str,
        _about("Address for `metrics_port`", allowed="an address or host name", min_length=1),
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int,
        _about(
            "Port of its own for `/metrics`, under `mikroroom serve`; 0 serves it beside all else",
            ge=0,
            le=65535,
        ),
    ] = 0
    metrics_token: Annotated[
        str,
        _about(
            "What `/metrics` asks for, as `Authorization: Bearer`; empty lets anyone read it",
            allowed="nothing, or at least 16 printable ASCII characters without spaces",
            kind="secret",
            pattern=r"^([!-~]{16,})?\Z",
        ),
    ] = ""

    admin_token: Annotated[
        str,
        _about(
            "What administers all rooms over HTTP, as `Authorization: Bearer`; a room's creator token does "
            "that one room",
            allowed="nothing, or 16 to 256 printable ASCII characters without spaces",
            kind="secret",
            pattern=r"^([!-~]{16,256})?\Z",
        ),
    ] = ""
    events_kept: Annotated[
        int,
        _about("Room events kept for `GET /api/events`, where there is an `admin_token`", ge=0, le=1_000_000),
    ] = 10_000
    webhook_url: Annotated[
        str,
        _about(
            "Where room events are sent, one at a time; empty sends none",
            allowed="nothing, or a URL such as https://example.org/meetings",
            kind="secret",
            pattern=r"^(https?://[^\s/?#]+[^\s#]*)?\Z",
        ),
    ] = ""
    webhook_secret: Annotated[
        str,
        _about(
            "What webhooks are signed with; while it is being changed, several with commas between them",
            allowed="`whsec_` and the Base64 of 24 to 64 bytes, or several such",
            kind="secret",
            pattern=rf"^({_WHSEC}(,\s*{_WHSEC})*)?\Z",
        ),
    ] = ""
    webhook_events: Annotated[
        tuple[RoomEventType, ...],
        _about("Types of the room events that are sent", allowed=" or ".join(get_args(RoomEventType))),
    ] = get_args(RoomEventType)
    webhook_backlog: Annotated[
        int,
        _about(
            "Room events that wait for a webhook which fails, before those are dropped that are over",
            ge=100,
            le=1_000_000,
        ),
    ] = 10_000

    loop_patience: Annotated[
        float,
        _about(
            "Seconds for which the event loop may be blocked before the log says by what; 0 does not look",
            ge=0,
            le=60,
        ),
    ] = 0.25
    log_level: Annotated[LogLevel, _about("Least severe lines to log")] = "info"
    log_format: Annotated[
        LogFormat, _about("`text` for people, `json` for machines: one object per line")
    ] = "text"

    def __post_init__(self) -> None:
        problems = list(_out_of_bounds(self)) or [*_at_odds(self), *_at_odds_with_the_site(self)]
        if problems:
            lines = [
                f"{p.field} = {told(p.field, getattr(self, p.field))}: must be {p.must}" for p in problems
            ]
            raise SettingsError(lines, problems)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={shown(name, getattr(self, name))}" for name in OPTIONS)
        return f"Settings({fields})"


class Option(NamedTuple):
    """What there is to tell about one field of ``Settings``, and each way to write it."""

    field: str
    flag: str
    environment: str
    allowed: str
    default: Any
    description: str
    kind: str
    type: Any


class Problem(NamedTuple):
    """Something wrong with the value of ``field``, in the light of the fields ``beside`` it."""

    field: str
    must: str
    beside: tuple[str, ...] = ()


class SettingsError(ValueError):
    """Settings that cannot be used: one line per problem, naming the setting as its author wrote it."""

    def __init__(self, lines: Sequence[str], problems: Sequence[Problem] = ()) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)
        self.problems = tuple(problems)


def shown(field: str, value: object) -> str:
    """``value`` as it may be shown: masked if the setting is secret, and on one line whatever it is."""
    if value and field in OPTIONS and OPTIONS[field].kind == "secret":
        return MASK
    if isinstance(value, tuple | list):
        value = ",".join(map(str, value))
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and text == text.strip() and len(text) <= 200 else repr(text[:200])


def told(field: str, value: object) -> str:
    """Likewise, where something is wrong with it: also of nothing there is something to see."""
    return shown(field, value) or repr("")


def settings_table() -> str:
    """The settings as a Markdown table, for the README."""
    rows = ["| Setting | Default | Allowed | Meaning |", "|---|---|---|---|"]
    for field, option in OPTIONS.items():
        default = f"`{shown(field, option.default)}`" if option.default not in ("", ()) else ""
        rows.append(f"| `{field}` | {default} | {option.allowed} | {option.description} |")
    return "\n".join(rows) + "\n"


def _out_of_bounds(settings: Settings) -> Iterator[Problem]:
    for field, option in OPTIONS.items():
        try:
            msgspec.convert(getattr(settings, field), option.type)
        except msgspec.ValidationError:
            yield Problem(field, option.allowed)


def _at_odds(settings: Settings) -> Iterator[Problem]:
    """What no field can know of itself."""
    if not all(map(_is_network, settings.trusted_proxies)):
        yield Problem("trusted_proxies", OPTIONS["trusted_proxies"].allowed)
    if settings.redis_url and settings.data_dir:
        yield Problem("data_dir", "empty where redis_url is given: rooms are in Redis then", ("redis_url",))
    if settings.workers > 1 and not settings.redis_url:
        must = "1, or given together with redis_url: workers share their rooms in Redis"
        yield Problem("workers", must, ("redis_url",))
    if 0 < settings.hang_timeout < 3:
        yield Problem("hang_timeout", "0, or at least 3: the signs of life come once a second")
    if settings.tls_certificate and not settings.tls_key:
        yield Problem("tls_certificate", "given together with tls_key", ("tls_key",))
    if settings.tls_key and not settings.tls_certificate:
        yield Problem("tls_key", "given together with tls_certificate", ("tls_certificate",))
    if settings.turn_servers and not (
        settings.turn_secret or (settings.turn_username and settings.turn_credential)
    ):
        must = "given together with turn_secret, or with turn_username and turn_credential"
        yield Problem("turn_servers", must, ("turn_secret", "turn_username", "turn_credential"))


def _at_odds_with_the_site(settings: Settings) -> Iterator[Problem]:
    """Likewise, of what a site around the service has to say and to hear."""
    if settings.join_tokens == "required" and not (settings.join_token_secret or settings.join_token_keys):
        must = "given together with join_token_secret or join_token_keys"
        yield Problem("join_tokens", must, ("join_token_secret", "join_token_keys"))
    if settings.webhook_url and not _is_url(settings.webhook_url):
        yield Problem("webhook_url", OPTIONS["webhook_url"].allowed)
    if settings.webhook_url and not settings.webhook_secret:
        yield Problem("webhook_url", "given together with webhook_secret", ("webhook_secret",))
    if settings.webhook_secret and not all(map(_is_key, settings.webhook_secret.split(","))):
        yield Problem("webhook_secret", OPTIONS["webhook_secret"].allowed)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_key(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return 24 <= len(key) <= 64


def flag_of(field: str) -> str:
    """The flag of the command for it."""
    return "--" + field.replace("_", "-")


def _option(info: msgspec.structs.FieldInfo) -> Option:
    plain, meta = get_args(info.type)[:2]
    return Option(
        field=info.name,
        flag=flag_of(info.name),
        environment=PREFIX + info.name.upper(),
        allowed=_allowed(plain, meta),
        default=info.default,
        description=meta.description,
        kind=meta.extra["kind"],
        type=info.type,
    )


def _allowed(plain: Any, meta: Meta) -> str:
    if plain not in (int, float):
        return str((meta.extra or {})["allowed"]) or " or ".join(get_args(plain))
    low = f"from {meta.ge} to" if meta.gt is None else f"above {meta.gt}, up to"
    return f"a {'whole ' if plain is int else ''}number {low} {meta.le}"


OPTIONS: Mapping[str, Option] = {info.name: _option(info) for info in msgspec.structs.fields(Settings)}
