"""What providers' bodies have in common: JSON, forms, names of images, several changes, the place of an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from nodewise.domain.delivery import Verdict
from nodewise.domain.errors import UserError
from nodewise.domain.events import Event, ImagePushed
from nodewise.domain.images import ImageName
from webhooks.provider import Incoming, Parsed, Unreadable

FORM = "application/x-www-form-urlencoded"


def digest(body: bytes) -> str:
    """Names a body."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def is_null(commit: str) -> bool:
    """Whether this is git's null object id: zeros, as many as the repository's hash has digits."""
    return not commit.strip("0")


def read_json(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises Unreadable."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"the body is no JSON{place}") from None
    if not isinstance(data, dict):
        raise Unreadable(f"the body is a JSON {type(data).__name__}, not an object")
    return data


def text(data: Mapping[str, Any], path: str, default: str | None = None) -> str:
    """The text at *path* (dots between names). Raises Unreadable naming it when it is not there and has no default."""
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and (value or default is not None):
        return storable(value)
    if value is None and default is not None:
        return default
    found = "missing" if value is None else "empty" if value == "" else f"a {type(value).__name__}, not text"
    raise Unreadable(f"{path} is {found}", path)


def storable(value: str) -> str:
    """*value* without what JSON can hold and a database cannot: NUL and halves of surrogate pairs."""
    return value.encode("utf-8", "replace").decode().replace("\0", "?")


def objects(data: Mapping[str, Any], path: str) -> list[dict[str, Any]]:
    """The list of objects at *path* (dots between names). Raises Unreadable naming it, or the item that is none."""
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, list):
        raise Unreadable(f"{path} is {'missing' if value is None else 'no list'}", path)
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise Unreadable(f"{path}[{number}] is no object", f"{path}[{number}]")
    return value


@contextmanager
def at(where: str) -> Iterator[None]:
    """What cannot be read inside is told with its place in the body in front."""
    try:
        yield
    except Unreadable as error:
        what = f"{where}.{error.what}" if error.field else f"{where}: {error.what}"
        raise Unreadable(what, f"{where}.{error.field}" if error.field else where) from None


def form_or_json(incoming: Incoming) -> bytes:
    """The JSON of a body that may be a form with it in the field ``payload``. Raises Unreadable."""
    if not incoming.header("content-type").lower().startswith(FORM):
        return incoming.body
    try:
        fields = parse_qs(incoming.body.decode(), max_num_fields=20)
    except ValueError:
        raise Unreadable("the form cannot be read") from None
    if "payload" not in fields:
        raise Unreadable("the form has no field payload", "payload")
    return fields["payload"][0].encode()


def image(repository: str, tag: str, digest: str = "") -> ImagePushed:
    """A pushed tag by its parts; *repository* with its registry. Raises Unreadable."""
    try:
        name = ImageName.parse(f"{repository}:{tag}")
        name = ImageName.parse(f"{name}@{digest}") if digest else name
    except UserError as error:
        raise Unreadable(error.what) from None
    return ImagePushed(name.repository, name.tag, name.digest)


def first_line(message: str) -> str:
    """The subject of a commit's message."""
    return message.partition("\n")[0]


def parsed(
    found: Iterable[Event | str], key: str, body_digest: str = "", nothing: str = "nothing was pushed"
) -> Parsed:
    """What several changes amount to: the events among them, or the sentences that say why there are none."""
    results = list(dict.fromkeys(found))
    events = tuple(r for r in results if not isinstance(r, str))
    note = "" if events else "; ".join(r for r in results if isinstance(r, str)) or nothing
    return Parsed(Verdict.ACCEPTED if events else Verdict.IGNORED, key, events, note, body_digest)
