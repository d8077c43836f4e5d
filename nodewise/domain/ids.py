"""Ids: short, sortable by the time they were made, and not to be guessed."""

from __future__ import annotations

from collections.abc import Callable

Chance = Callable[[int], int]  # so many random bits, as ``secrets.randbits`` gives them
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_TIME_DIGITS, _RANDOM_DIGITS = 9, 5


def new_id(prefix: str, now: float, chance: Chance) -> str:
    """``prefix-`` and fourteen characters: milliseconds since the epoch, then chance."""
    when = _digits(int(now * 1000) % 32**_TIME_DIGITS, _TIME_DIGITS)
    return f"{prefix}-{when}{_digits(chance(5 * _RANDOM_DIGITS), _RANDOM_DIGITS)}"


def time_of(id_: str) -> str:
    """When an id was made, to the millisecond, as text that sorts; the same for ids of all kinds."""
    return id_.partition("-")[2][:_TIME_DIGITS]


def _digits(number: int, count: int) -> str:
    text = ""
    for _ in range(count):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text
