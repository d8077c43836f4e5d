"""Several changes in one delivery, each read by itself, with errors that name the place in the whole body; and what is
said of a commit beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodewise.domain.events import Event
from webhooks.bodies import at, objects, text
from webhooks.provider import Unreadable


def each(data: Mapping[str, Any], path: str, read: Callable[[dict[str, Any]], Event | str]) -> list[Event | str]:
    """What *read* makes of every object in the list at *path*. Raises Unreadable."""
    found: list[Event | str] = []
    for number, item in enumerate(objects(data, path)):
        with at(f"{path}[{number}]"):
            found.append(read(item))
    return found


def the_one(items: Any, name: str, value: str) -> dict[str, Any]:
    """The object among *items* whose *name* is *value*; an empty one where there is none.

    Commits are listed newest first by some and last by others, and never all of them: the right one is looked for.
    """
    listed = items if isinstance(items, list) else []
    return next((i for i in listed if isinstance(i, dict) and i.get(name) == value), {})


def shown(data: Mapping[str, Any], path: str) -> str:
    """The text at *path*, or nothing: for what people are told, which is no reason to refuse a push."""
    try:
        return text(data, path, "")
    except Unreadable:
        return ""
