"""One thing that is wrong, or strange, in a file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """*path*: what it is about, as in ``hooks.shop.provider``. *value*: what stands there, where it may be told.
    *hint*: the way out. *at*: the path in parts, for the line. *warning*: it may be right all the same.
    """

    path: str
    what: str
    value: str = ""
    hint: str = ""
    line: int = 0
    warning: bool = False
    at: tuple[str | int, ...] = ()


def finding(at: tuple[str | int, ...], what: str, value: str = "", hint: str = "", warning: bool = False) -> Finding:
    """About what stands *at*; its line is filled in by who knows the file."""
    return Finding(".".join(map(str, at)), what, value, hint, 0, warning, at)
