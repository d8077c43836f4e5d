"""Readers of label values: text in, value out, ValueError for what means nothing. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from nodewise.config.durations import seconds
from nodewise.domain.model import Approval

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(MiB|GiB|TiB|MB|GB|TB)")
_SIZES = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return read


def statuses(text: str) -> str:
    if not re.fullmatch(r"[1-5]\d\d(-[1-5]\d\d)?(,[1-5]\d\d(-[1-5]\d\d)?)*", text.replace(" ", "")):
        raise ValueError(text)
    return text.replace(" ", "")


def count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise ValueError(text)
    return number


def positive(text: str) -> float:
    value = seconds(text)
    if value <= 0:
        raise ValueError(text)
    return value


def words(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text


def yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def size(text: str) -> int:
    """Bytes."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(float(found[1]) * _SIZES[found[2]])


def command(text: str) -> tuple[str, ...]:
    """Words as a shell splits them; no shell runs them, unless it is named."""
    found = tuple(shlex.split(text))
    if not found:
        raise ValueError(text)
    return found


def approval(text: str) -> Approval:
    found = {"true": Approval.ONCE, "once": Approval.ONCE, "each": Approval.EACH, "false": Approval.NEVER}
    if text not in found:
        raise ValueError(text)
    return found[text]


def steps(text: str) -> tuple[str, ...]:
    """``each``; or counts, percentages and node names, where each number is larger than the one before it."""
    found = tuple(word.strip() for word in text.split(","))
    for word in found:
        if not (_NODE.fullmatch(word) or re.fullmatch(r"\d+%", word)):
            raise ValueError(text)
        if word.rstrip("%").isdigit() and not (0 < int(word.rstrip("%")) <= (100 if word.endswith("%") else 100_000)):
            raise ValueError(text)
    for unit in (True, False):
        numbers = [int(w.rstrip("%")) for w in found if w.rstrip("%").isdigit() and w.endswith("%") is unit]
        if numbers != sorted(set(numbers)):
            raise ValueError(text)
    return found


def ports(text: str) -> tuple[tuple[int, int], ...]:
    """``published:target`` pairs, as ``docker service create --publish`` writes them; (target, published) out."""
    pairs = []
    for part in text.split(","):
        published, _, target = part.strip().partition(":")
        pair = (int(target), int(published))
        if not all(0 < p < 65536 for p in pair):
            raise ValueError(text)
        pairs.append(pair)
    return tuple(pairs)
