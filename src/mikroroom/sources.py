"""Where settings are written: a file, the environment, flags; and how they are gathered from there.

What is wrong is told with the name of the setting as its author wrote it, all of it at once.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mikroroom.settings import (
    CONFIG,
    MASK,
    OPTIONS,
    PREFIX,
    URL,
    Option,
    Problem,
    Settings,
    SettingsError,
    flag_of,
    shown,
)

# Where a value comes from that only the command gives.
SERVE_DEFAULT = "serve default"


_NO_SETTINGS = {PREFIX + name.upper() for name in (CONFIG, URL)}


class _Layer(NamedTuple):
    """One place where settings are written: its name, and what a setting and its value look like there."""

    source: str
    name: Callable[[Option], str]
    line: Callable[[str, str], str]
    entries: Mapping[str, Any]


def load(
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """Gather the settings: defaults, the TOML file, the environment, flags; the later the stronger.

    ``flags`` go by field name, and ``config`` among them names the file; ``environ`` is the process's own if
    None; ``defaults`` are the command's, where they differ from ours, and give way to what they are at odds
    with. The second result tells where each value came from. Raises ``SettingsError`` with all problems at
    once.
    """
    lines: list[str] = []
    values: dict[str, Any] = {}
    refused: set[str] = set()
    owners = dict.fromkeys(OPTIONS, _DEFAULTS)
    for layer in _layers(flags or {}, os.environ if environ is None else environ, defaults or {}, lines):
        options = {layer.name(option): option for option in OPTIONS.values()}
        for name, raw in layer.entries.items():
            if name not in options:
                lines.append(_unknown(layer, name, raw))
                continue
            option = options[name]
            owners[option.field] = layer
            try:
                values[option.field] = _value(option, raw)
            except msgspec.ValidationError:
                refused.add(option.field)
                lines.append(_refusal(layer, option.field, raw, option.allowed))
    settings, problems = _checked(values)
    unwanted = {problem.field for problem in problems if owners[problem.field].source == SERVE_DEFAULT}
    if unwanted:
        values = {field: value for field, value in values.items() if field not in unwanted}
        owners |= dict.fromkeys(unwanted, _DEFAULTS)
        settings, problems = _checked(values)
    for problem in problems:
        # A value refused above stands here at its default, and to be at odds with that is nobody's mistake.
        if refused.isdisjoint({problem.field, *problem.beside}):
            value = values.get(problem.field, OPTIONS[problem.field].default)
            lines.append(_refusal(owners[problem.field], problem.field, value, problem.must))
    if lines:
        raise SettingsError(lines, problems)
    return settings, {field: layer.source for field, layer in owners.items()}


def _layers(
    flags: Mapping[str, str], environ: Mapping[str, str], defaults: Mapping[str, Any], lines: list[str]
) -> Iterator[_Layer]:
    """The places where settings are written, weakest first. What is wrong with a place goes to ``lines``."""
    yield _DEFAULTS._replace(source=SERVE_DEFAULT, entries=defaults)
    path = flags.get(CONFIG) or environ.get(PREFIX + CONFIG.upper())
    if path:
        entries = _file(path, lines)
        yield _Layer(f"file {path}", _key, lambda name, value: f"{path}: {name} = {value}", entries)
    entries = {k: v for k, v in environ.items() if k.startswith(PREFIX) and k not in _NO_SETTINGS}
    yield _Layer("environment", lambda option: option.environment, "{}={}".format, entries)
    entries = {flag_of(field): value for field, value in flags.items() if field != CONFIG}
    yield _Layer("flag", lambda option: option.flag, lambda name, value: f"{name} {value}".rstrip(), entries)


def _key(option: Option) -> str:
    return option.field


def _file(path: str, lines: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).expanduser().read_text("utf-8"))
    except OSError as error:
        lines.append(f"{path}: cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        lines.append(f"{path}: is not TOML: {error}")
    except RuntimeError as error:  # a home directory that nobody has
        lines.append(f"{path}: cannot be read: {error}")
    return {}


def _refusal(layer: _Layer, field: str, value: object, must: str) -> str:
    return f"{layer.line(layer.name(OPTIONS[field]), shown(field, value) or repr(''))}: must be {must}"


def _unknown(layer: _Layer, name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{layer.line(f'[{name}]', '…')}: unknown setting; the file is flat, without tables"
    bare = name.removeprefix(PREFIX).strip("-").replace("-", "_").lower()
    near = next(iter(difflib.get_close_matches(bare, OPTIONS, n=1)), "")
    # A misspelt secret is a secret still.
    words = ("secret", "credential", "pass", "token", "key", "auth", "redis", "url")
    secret = any(word in bare for word in words)
    hint = f"did you mean {layer.name(OPTIONS[near])}?" if near else "`mikroroom config` lists them all"
    return f"{layer.line(name, MASK if secret else shown(near, value))}: unknown setting; {hint}"


def _value(option: Option, raw: object) -> Any:
    """``raw``, out of a file or as text, as the type of the field. Raises ``msgspec.ValidationError``."""
    if isinstance(raw, str) and isinstance(option.default, tuple):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    if isinstance(raw, str) and option.kind == "path":
        raw = os.path.expanduser(raw)
    return msgspec.convert(raw, option.type, strict=not isinstance(raw, str))


def _checked(values: Mapping[str, Any]) -> tuple[Settings, Sequence[Problem]]:
    try:
        settings = Settings(**values)
    except SettingsError as error:
        return Settings(), error.problems
    return settings, list(_unreadable(settings))


def _unreadable(settings: Settings) -> Iterator[Problem]:
    for field in ("tls_certificate", "tls_key", "join_token_keys"):
        path = getattr(settings, field)
        if path and not (os.access(path, os.R_OK) and Path(path).is_file()):
            yield Problem(field, OPTIONS[field].allowed)


_DEFAULTS = _Layer("default", _key, "{} = {}".format, {})
