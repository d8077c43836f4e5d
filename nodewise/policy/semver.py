"""semver: versions within a range, newer ones only.

Ranges are written as npm writes them (node-semver, README): ``^1.4``, ``~1.4.2``, ``1.x``, ``>=1.2 <2``,
``1.2 - 1.5``, ``||``, ``*``. A tag may begin with v. Pre-releases are admitted only where a part of the range
names one of the very same version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from semver import Version

from nodewise.domain.errors import UserError

_PART = re.compile(r"(?P<op>\^|~|>=|<=|>|<|=)?\s*v?(?P<version>[0-9xX*][^\s]*)")
_HYPHEN = re.compile(r"^\s*v?(\S+)\s+-\s+v?(\S+)\s*$")
_WILD = ("x", "X", "*", "")


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison: ``op`` is one of >=, <=, >, <."""

    op: str
    version: Version

    def holds(self, version: Version) -> bool:
        order = version.compare(self.version)
        return {">=": order >= 0, "<=": order <= 0, ">": order > 0, "<": order < 0}[self.op]


@dataclass(frozen=True, slots=True)
class Semver:
    """``alternatives``: of one of them every bound has to hold."""

    text: str
    alternatives: tuple[tuple[Bound, ...], ...]

    @property
    def ordered(self) -> bool:
        return True

    def admits(self, tag: str) -> bool:
        version = version_of(tag)
        return version is not None and any(_within(version, bounds) for bounds in self.alternatives)

    def newer(self, candidate: str, current: str) -> bool:
        """Also whenever the current tag is no version: then there is nothing to be older than."""
        new, old = version_of(candidate), version_of(current)
        return new is not None and self.admits(candidate) and (old is None or new >= old)

    def __str__(self) -> str:
        return f"semver:{self.text}"


def parse(text: str) -> Semver:
    """Raises UserError naming the part that is wrong."""
    if not text:
        raise UserError("semver needs a range", "such as semver:^1.4", "nodewise.track")
    return Semver(text, tuple(_bounds(part) for part in text.split("||")))


def version_of(tag: str) -> Version | None:
    """A tag as a version: ``v1.4`` and ``1.4`` are 1.4.0; None when it is none."""
    text = tag.removeprefix("v")
    core = re.match(r"\d+(\.\d+)?(\.\d+)?(?=$|[-+])", text)
    if core is None:
        return None
    missing = 2 - core.group().count(".")
    try:
        return Version.parse(core.group() + ".0" * missing + text[core.end() :])
    except ValueError:
        return None


def _within(version: Version, bounds: tuple[Bound, ...]) -> bool:
    if not all(b.holds(version) for b in bounds):
        return False
    if not version.prerelease:
        return True
    named = [b.version for b in bounds if b.version.prerelease and not _is_floor(b.version)]
    return any(v.finalize_version() == version.finalize_version() for v in named)


def _is_floor(version: Version) -> bool:
    """``-0`` is how an upper bound shuts pre-releases of the next version out; nobody named it."""
    return version.prerelease == "0"


def _bounds(text: str) -> tuple[Bound, ...]:
    hyphen = _HYPHEN.match(text)
    if hyphen:
        text = f">={hyphen[1]} <={hyphen[2]}"
    text = text.strip()
    if text in ("", "*"):
        return (Bound(">=", Version(0)),)
    bounds: list[Bound] = []
    rest = text
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise UserError(
                f"{rest!r} is no part of a version range", "such as ^1.4, ~1.4.2, >=1.2 <2", "nodewise.track"
            )
        bounds += _comparator(part["op"] or "", part["version"])
        rest = rest[part.end() :].lstrip(" ,")
    return tuple(bounds)


def _comparator(op: str, text: str) -> list[Bound]:
    core, dash, pre = text.partition("-")
    numbers = core.partition("+")[0].split(".")
    given = [n for n in numbers if n not in _WILD]
    if len(numbers) > 3 or not all(n.isascii() and n.isdecimal() for n in given):
        raise UserError(f"{text!r} is no version", "such as 1.4.2", "nodewise.track")
    known = len(given)
    major, minor, patch = (*map(int, given), 0, 0, 0)[:3]
    low = Version(major, minor, patch, prerelease=pre if dash else None)
    if known == 0:
        return (
            [Bound(">=", Version(0))]
            if op in ("", "=", ">=", "<=", "^", "~")
            else [Bound("<", Version(0, prerelease="0"))]
        )
    after = _next(low, known)
    match op:
        case "^":
            return [Bound(">=", low), Bound("<", _caret(low, known))]
        case "~":
            return [Bound(">=", low), Bound("<", _next(low, min(known, 2)))]
        case ">":
            return [Bound(">", low)] if known == 3 else [Bound(">=", after)]
        case "<=":
            return [Bound("<=", low)] if known == 3 else [Bound("<", after)]
        case ">=" | "<":
            return [Bound(op, low)]
        case _:
            return [Bound(">=", low), Bound("<=", low)] if known == 3 else [Bound(">=", low), Bound("<", after)]


def _next(version: Version, known: int) -> Version:
    """The first version past all that share the first *known* numbers, its pre-releases shut out as well."""
    numbers = [version.major, version.minor, version.patch][:known]
    numbers[-1] += 1
    major, minor, patch = (*numbers, 0, 0)[:3]
    return Version(major, minor, patch, prerelease="0")


def _caret(version: Version, known: int) -> Version:
    """Up to the next change of the first number that is not zero."""
    if version.major or known == 1:
        return _next(version, 1)
    if version.minor or known == 2:
        return _next(version, 2)
    return _next(version, 3)
