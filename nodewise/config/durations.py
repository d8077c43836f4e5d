"""Durations as people write them: ``250ms``, ``30s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """Raises ValueError for anything else, a number without a unit included."""
    parts = _PART.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text.strip():
        raise ValueError(text)
    return sum(float(n) * _UNITS[u] for n, u in parts)
