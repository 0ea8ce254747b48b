"""Both documents as one page to read: plain HTML with a style of its own, no script, and nothing to load.

It is made from the documents alone, so it says what they say.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from mikroroom.contracts.schemas import name_of
from mikroroom.contracts.shapes import fields_of, inner_names, kind_of
from mikroroom.protocol.codec import EVENTS
from mikroroom.protocol.codes import ErrorCode

Document = Mapping[str, Any]

# What stands in JSON: a name, a string, or another value. By then it is escaped for HTML.
_TOKEN = re.compile(r"(&quot;(?:[^&\\]|\\.|&(?!quot;))*&quot;)(\s*:)?|\b(true|false|null|-?\d[\d.]*)\b")

# A name within words: of a message (room-locked), of a field (roomId), of a code (ROOM_FULL).
_NAME = re.compile(r"\b([a-z]+(?:-[a-z]+)+|[a-z]+[A-Z]\w*|[A-Z]+(?:_[A-Z]+)+|RTC\w+(?:\.\w+)?)\b")


@cache
def style() -> str:
    """The page's style sheet."""
    return (files("mikroroom") / "contracts" / "page.css").read_text("utf-8")


def policy() -> str:
    """What the page may do (``Content-Security-Policy``): nothing but look as it does."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def page(rest: Document, signaling: Document) -> str:
    """The page of the two documents."""
    sections = [
        *((_slug(tag["name"]), tag["name"], list(_routes(rest, tag["name"]))) for tag in rest["tags"]),
        ("sent", "What a client sends", list(_messages(signaling, "receive"))),
        ("heard", "What the server sends", list(_messages(signaling, "send"))),
        ("bodies", "Other types", list(_bodies(rest, signaling))),
        ("codes", "Codes and limits", list(_tables(signaling))),
    ]
    entries = "".join(_entry(key, title, articles) for key, title, articles in sections)
    leads = {_slug(tag["name"]): _paragraphs(tag["description"]) for tag in rest["tags"]}
    main = "".join(_section(key, title, leads.get(key, ""), articles) for key, title, articles in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(rest['info']['title'])}: what can be asked and said</title>\n"
        '<link rel="icon" href="data:,">\n'
        f"<style>{style()}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">To the content</a>\n'
        f"<header>{_head(rest)}</header>\n"
        f'<nav aria-label="Contents">{entries}</nav>\n'
        f'<main id="main" tabindex="-1">{_intro(rest, signaling)}{main}</main>\n</body>\n</html>\n'
    )


def _head(rest: Document) -> str:
    return (
        f'<a class="home" href="#main">{escape(rest["info"]["title"])}</a>'
        f'<span class="version">{escape(rest["info"]["version"])}</span>'
        '<a class="file" href="openapi.json">openapi.json</a>'
        '<a class="file" href="asyncapi.json">asyncapi.json</a>'
    )


def _intro(rest: Document, signaling: Document) -> str:
    return (
        f'<div class="intro"><h1>{escape(rest["info"]["title"])}</h1>'
        f"{_paragraphs(rest['info']['description'])}{_paragraphs(signaling['info']['description'])}</div>"
    )


def _entry(key: str, title: str, articles: Iterable[tuple[str, str, str]]) -> str:
    items = "".join(f'<li><a href="#{key}">{name}</a></li>' for key, name, _ in articles)
    return f'<p><a href="#{key}">{title}</a></p><ul>{items}</ul>'


def _section(key: str, title: str, lead: str, articles: Iterable[tuple[str, str, str]]) -> str:
    bodies = "".join(body for _, _, body in articles)
    return f'<section><h2 id="{key}">{title}</h2><div class="lead">{lead}</div>{bodies}</section>'


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def _routes(rest: Document, topic: str) -> Iterator[tuple[str, str, str]]:
    """Anchor, name and article of each route of one topic."""
    root = rest["servers"][0]["url"].rstrip("/")
    schemas = rest["components"]["schemas"]
    for path, methods in (*rest["paths"].items(), *rest["webhooks"].items()):
        for method, operation in methods.items():
            if topic not in operation["tags"]:
                continue
            verb = f'<span class="verb {method}">{method.upper()}</span>'
            place = root + path if path.startswith("/") else "the site's webhook"
            title = f"{verb} <code>{escape(place)}</code>"
            parts = [f"<p>{words(operation['summary'])}.</p>"]
            parts += [_paragraphs(operation.get("description", ""))]
            parts += [_proof(operation["security"])]
            if "parameters" in operation:
                rows = [_parameter(each) for each in operation["parameters"]]
                parts.append(f'<h4>Parameters</h4><dl class="fields">{"".join(rows)}</dl>')
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                parts += [f"<h4>Body</h4>{_fields(content['schema'], schemas)}", _example(content["example"])]
            parts.append(f"<h4>Answers</h4>{_answers(operation['responses'], schemas)}")
            key = operation["operationId"]
            name = f"{method.upper()} {escape(_shortened(path))}" if path.startswith("/") else "Webhook"
            yield key, f"<code>{name}</code>", _article(key, title, parts)


def _shortened(path: str) -> str:
    """A path for the contents: of what is in a room only that."""
    inner = path.removeprefix("/api/rooms/{code}")
    return f"…{inner}" if inner and inner != path else path


def _proof(security: list[Any]) -> str:
    if not security:
        return ""
    asks = "May ask for" if {} in security else "Asks for"
    return f'<p class="note">{asks} a token: <code>Authorization: Bearer TOKEN</code>.</p>'


def _parameter(parameter: Document) -> str:
    kind = f"in the {parameter['in']}, {kind_of(parameter['schema'])}"
    need = "" if parameter["required"] else ' <span class="may">optional</span>'
    name = f"<dt><code>{escape(parameter['name'])}</code> <span>{escape(kind)}</span>{need}</dt>"
    return f"{name}<dd>{words(parameter['description'])}</dd>"


def _answers(answers: Document, schemas: Document) -> str:
    rows = []
    for status, answer in answers.items():
        content = answer.get("content", {})
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in content if kind != "application/json")
        named = "".join(f" <code>{escape(name)}</code>" for name in answer.get("headers", {}))
        body = content.get("application/json", {})
        said = f"<p>{words(answer['description'])}</p>"
        said += f'<p class="soft">With{named}.</p>' if named else ""
        said += f'<p class="soft">As {kinds}.</p>' if kinds else ""
        reference = body.get("schema", {}).get("$ref", "")
        if reference and status.startswith("2"):
            said += _fields(body["schema"], schemas)
        if "example" in body:
            said += _example(body["example"])
        rows.append(f'<dt><span class="status s{status[0]}">{status}</span></dt><dd>{said}</dd>')
    return f'<dl class="answers">{"".join(rows)}</dl>'


def _messages(signaling: Document, action: str) -> Iterator[tuple[str, str, str]]:
    """Anchor, name and article of each message that the server receives, or sends."""
    schemas = signaling["components"]["schemas"]
    for operation in signaling["operations"].values():
        if operation["action"] != action:
            continue
        key = _name_in(operation["messages"][0])
        message = signaling["components"]["messages"][key]
        parts = [f"<p>{words(operation['summary'])}</p>"]
        who, label = operation.get("x-sender"), "From"
        if who is None:
            who, label = operation["x-receivers"], "To"
        facts = [f"<dt>{label}</dt><dd>{escape(who)}</dd>"]
        if operation.get("description"):
            facts.append(f"<dt>Then</dt><dd>{words(operation['description'])}</dd>")
        if "x-errors" in operation:
            links = ", ".join(f'<a href="#{code}"><code>{code}</code></a>' for code in operation["x-errors"])
            facts.append(f"<dt>Or an error</dt><dd>{links}</dd>")
        parts.append(f'<dl class="facts">{"".join(facts)}</dl>')
        parts.append(_fields(message["payload"], schemas))
        parts += [_example(example["payload"]) for example in message["examples"]]
        name = f"<code>{escape(message['name'])}</code>"
        yield key, name, _article(key, name, parts)


def _bodies(rest: Document, signaling: Document) -> Iterator[tuple[str, str, str]]:
    """What stands inside of messages and answers, and has a name."""
    for document in (signaling, rest):
        schemas = document["components"]["schemas"]
        for name in inner_names(schemas):
            if document is rest and name in signaling["components"]["schemas"]:
                continue
            body = _fields({"$ref": f"/{name}"}, schemas)
            yield name, f"<code>{name}</code>", _article(name, f"<code>{name}</code>", [body])


def _tables(signaling: Document) -> Iterator[tuple[str, str, str]]:
    errors = [_row(row["code"], _code(row["code"]), words(row["when"])) for row in signaling["x-error-codes"]]
    yield "errors", "Error codes", _table("errors", "Error codes", ("Code", "When"), errors)
    closes = [
        _row(
            f"close-{row['code']}",
            _code(row["code"]),
            words(row["why"]),
            "yes" if row["mayReconnect"] else "no",
        )
        for row in signaling["x-close-codes"]
    ]
    yield "closes", "Close codes", _table("closes", "Close codes", ("Code", "Why", "May reconnect"), closes)
    limits = [
        _row("", escape(row["what"]), _amount(row), words(row["over"])) for row in signaling["x-limits"]
    ]
    yield "limits", "Limits", _table("limits", "Limits", ("What", "At most", "Over it"), limits)


def _row(key: str, first: str, *others: str) -> str:
    anchor = f' id="{key}"' if key else ""
    return f'<tr{anchor}><th scope="row">{first}</th>{"".join(f"<td>{each}</td>" for each in others)}</tr>'


def _code(text: object) -> str:
    return f"<code>{text}</code>"


def _amount(row: Document) -> str:
    return "no limit" if row["value"] is None else f"{row['value']:,} {escape(row['unit'])}"


def _table(key: str, title: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return _article(
        key, title, [f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"]
    )


def _article(key: str, title: str, parts: Iterable[str]) -> str:
    link = f'<a class="anchor" href="#{key}" aria-label="Link to this">#</a>'
    return f'<article id="{key}"><h3>{title}{link}</h3>{"".join(parts)}</article>'


def _fields(schema: Document, schemas: Document) -> str:
    rows = []
    for field in fields_of(schema, schemas):
        need = "" if field.is_required else ' <span class="may">optional</span>'
        kind = f"<span>{_linked(field.kind, schemas)}</span>"
        rows.append(f"<dt><code>{escape(field.name)}</code> {kind}{need}</dt><dd>{words(field.about)}</dd>")
    return f'<dl class="fields">{"".join(rows)}</dl>'


def _linked(kind: str, schemas: Document) -> str:
    parts = (
        f'<a href="#{word}">{word}</a>' if word in schemas else escape(word)
        for word in re.split(r"(\W+)", kind)
    )
    return "".join(parts)


def _example(example: Any) -> str:
    text = escape(json.dumps(example, indent=2, ensure_ascii=False))
    return f"<pre><code>{_TOKEN.sub(_coloured, text)}</code></pre>"


def _coloured(token: re.Match[str]) -> str:
    string, colon, value = token.groups()
    if value is not None:
        return f"<b>{value}</b>"
    return f"<i>{string}</i>{colon}" if colon else f"<q>{string}</q>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{words(each)}</p>" for each in text.split("\n\n") if each)


def words(text: str) -> str:
    """A text with its names of fields and codes set as such, and those of messages and codes as links."""
    return _NAME.sub(_named, escape(text))


def _named(found: re.Match[str]) -> str:
    name = found[0]
    if name in EVENTS:
        return f'<a href="#{name_of(EVENTS[name])}"><code>{name}</code></a>'
    if name in ErrorCode.__members__:
        return f'<a href="#{name}"><code>{name}</code></a>'
    return name if "-" in name else f"<code>{name}</code>"


def _name_in(reference: Document) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
