"""What anybody may send: headers and JSON of any shape, with a provider's own words among them."""

from __future__ import annotations

from hypothesis import strategies as st

LATIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30)


def json_with(*words: str):
    """Any JSON; *words* are likely as names and as values."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(words)
    names = st.sampled_from(words) | st.text(max_size=4)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6), max_leaves=15
    )


def headers_with(*names: str, values: tuple[str, ...] = ()):
    """Any values, some of them *values*, for any of these headers."""
    some = LATIN | st.sampled_from(values) if values else LATIN
    return st.dictionaries(st.sampled_from(names), some, max_size=len(names))
