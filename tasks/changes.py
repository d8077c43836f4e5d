"""What a write would change in a service's spec, field by field. Pure.

A spec may hold secrets, in the environment and in labels. A rollout changes the image, what follows from it, the
update settings and its own mark; the values of any other field are not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nodewise.domain.swarm import ROLLOUT_LABEL, Spec

TOLD = (
    "TaskTemplate.ContainerSpec.Image",
    "TaskTemplate.Placement.Platforms",
    "UpdateConfig",
    f"Labels.{ROLLOUT_LABEL}",
)
HIDDEN = "(not shown)"


@dataclass(frozen=True, slots=True)
class Change:
    """One field: its path with dots between (``UpdateConfig.Delay``), and its values; None where it is not there."""

    path: str
    old: Any
    new: Any


def spec_changes(running: Spec, written: Spec) -> tuple[Change, ...]:
    """Every field in which the two differ, in the order of their paths. A list is one value."""
    return tuple(_told(c) for c in _between("", running, written))


def _between(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old or {}, dict) and isinstance(new or {}, dict) and (old or new):
        one, other = old or {}, new or {}
        for key in sorted(one.keys() | other.keys()):
            yield from _between(f"{path}.{key}" if path else key, one.get(key), other.get(key))
    elif old != new:
        yield Change(path, old, new)


def _told(change: Change) -> Change:
    if any(change.path == path or change.path.startswith(f"{path}.") for path in TOLD):
        return change
    hidden = [None if value is None else HIDDEN for value in (change.old, change.new)]
    return Change(change.path, *hidden)
