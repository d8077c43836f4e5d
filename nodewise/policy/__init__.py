"""Policies: which tag may replace which. One file each; the folder is the registry.

A module ``NAME.py`` with ``parse(text) -> Policy`` serves the labels ``nodewise.track=NAME:text``.
"""

from __future__ import annotations

import pkgutil
from functools import cache, lru_cache
from importlib import import_module
from typing import Protocol

from nodewise.domain.errors import UserError


class Policy(Protocol):
    """Decides about tags alone. ``str()`` gives the label's value back."""

    @property
    def ordered(self) -> bool:
        """Whether two tags can be told apart by their names alone; without an order the last push wins."""

    def admits(self, tag: str) -> bool:
        """Whether *tag* is one that this policy follows."""

    def newer(self, candidate: str, current: str) -> bool:
        """Whether *candidate* may replace *current*. The same tag may: it can stand for a new digest."""


@cache
def names() -> tuple[str, ...]:
    """Every policy there is."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@lru_cache(maxsize=4096)
def parse(text: str) -> Policy:
    """``semver:^1.4``, ``glob:release-*``, ``regex:v(\\d+)``, ``same``. Raises UserError."""
    name, _, rest = text.strip().partition(":")
    if name not in names():
        raise UserError(f"there is no policy {name!r}", f"there are: {', '.join(names())}", "nodewise.track")
    policy: Policy = import_module(f"{__name__}.{name}").parse(rest.strip())
    return policy
