"""Bodies that a sender never meant: a good one with one of its parts replaced by anything, or taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from tests.unit.providers.parts import parse
from webhooks.provider import Unreadable

_TEXT = st.text(st.characters(), max_size=12)  # half of a surrogate pair too: JSON can say it, and UTF-8 cannot
_LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
ANYTHING = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn, good: bytes) -> bytes:
    """*good*, with one part of it (or all of it) replaced or taken away."""
    data = json.loads(good)
    place = draw(st.sampled_from([(), *_places(data)]))
    if not place:
        return json.dumps(draw(ANYTHING)).encode()
    holder = data
    for part in place[:-1]:
        holder = holder[part]
    if draw(st.integers(0, 3)):
        holder[place[-1]] = draw(ANYTHING)
    else:
        del holder[place[-1]]
    return json.dumps(data).encode()


def _places(data: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*before, key)
        yield from _places(value, (*before, key))


def settled(name: str, content: bytes, config: HookConfig | None = None, refuses: bool = True, **headers: str) -> None:
    """*content* is understood, or refused with the field; and what is kept of it can be stored."""
    try:
        parsed = parse(name, content, config, **headers)
    except Unreadable as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refuses, "a refusal jams this sender"
        assert refused.field or not isinstance(json.loads(content), dict)
        return
    assert b"\0" not in parsed.key.encode()
    assert parsed.note.encode() or parsed.verdict in (Verdict.ACCEPTED, Verdict.UNUSABLE)
