"""Statuses: how the place that a commit came from is told what became of it. Requests as values; nothing is sent here.

One file a kind, and the folder is the registry: a module ``NAME.py`` with a function ``call`` is the kind ``NAME``.
Each file's docstring names the source of its API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from nodewise.domain.told import Told


@dataclass(frozen=True, slots=True)
class Target:
    """Where a status goes. ``api``: the API's base address; ``repository``: its path there.

    ``context``: what the status is called; ``link``: where people read more, if anywhere.
    """

    api: str
    repository: str
    commit: str
    context: str
    link: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One POST. ``keep``: the field of its answer without which the next call cannot be made.

    ``fine``: words of a 400 that say that it is so already.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    json: Mapping[str, Any]
    keep: str = ""
    fine: str = ""


class Kind(Protocol):
    """A kind's module."""

    def call(self, target: Target, told: Told, kept: str) -> Call:
        """The next request. *kept*: what the one before it had to keep, now or when this subject was told before."""


def names() -> list[str]:
    """Every kind there is."""
    return sorted(m.name for m in iter_modules(__path__))


def kind(name: str) -> Kind:
    """The kind called *name*, which the configuration has checked."""
    return cast(Kind, import_module(f"{__name__}.{name}"))


def cut(text: str, limit: int) -> str:
    """*text* with at most *limit* characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
