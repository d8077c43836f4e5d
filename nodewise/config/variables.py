"""``$VARIABLES`` in stack files, filled in as ``docker stack deploy`` does (docs.docker.com, interpolation)."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACE = re.compile(rf"\$(?:(\$)|({_NAME})|\{{({_NAME})(?:(:?[-?+])([^}}]*))?\}}|())")


class Unset(Exception):
    """A variable is not set here, so that nobody can say what the value will be. ``name`` is the variable's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def fill_in(text: str, environment: Mapping[str, str]) -> str:
    """*text* with its variables filled in. Raises ValueError for a dollar sign that begins none, and Unset."""
    return _PLACE.sub(lambda found: _value(found, environment), text)


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    dollar, bare, name, operator, word = found.group(1, 2, 3, 4, 5)
    if dollar:
        return "$"
    name = bare or name
    if not name:
        raise ValueError(found.string)
    value = environment.get(name)
    there = bool(value) if operator and operator.startswith(":") else value is not None
    if operator and operator.endswith("+"):
        return word if there else ""
    if there and value is not None:
        return value
    if operator and operator.endswith("-"):
        return word
    raise Unset(name)
