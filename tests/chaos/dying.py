"""A worker that is killed at one chosen moment: at a write to the store or to the swarm, before or after it.

What a kill leaves behind is what this leaves behind: nothing of the process, its lease, and whatever was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SWARM_WRITES = ("update_service", "create_service", "remove_service")
STORE_WRITES = ("save_rollouts", "set_evidence")


class Killed(BaseException):
    """kill -9. Nothing in the product catches it."""


@dataclass(frozen=True)
class Moment:
    """The *number*-th write, *before* it or after it."""

    number: int
    before: bool


@dataclass
class Diary:
    """Every write in order, and the moment at which to die."""

    die_at: Moment | None = None
    writes: list[str] = field(default_factory=list)

    def write(self, what: str, act: Callable[[], Any]) -> Any:
        number = len(self.writes)
        self.writes.append(what)
        if self.die_at == Moment(number, before=True):
            raise Killed(what)
        done = act()
        if self.die_at == Moment(number, before=False):
            raise Killed(what)
        return done


class Watched:
    """Another object, each of whose writes goes into the diary."""

    def __init__(self, inner: Any, names: tuple[str, ...], diary: Diary) -> None:
        self._inner = inner
        self._names = names
        self._diary = diary

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found
        return lambda *args, **kwargs: self._diary.write(f"{name} {_about(name, args)}", lambda: found(*args, **kwargs))


def _about(name: str, args: tuple[Any, ...]) -> str:
    """What the write is about, in the words of the table."""
    if name == "create_service":
        return str(args[0]["Labels"].get("nodewise.helper", "")).partition(".")[0]
    if name == "update_service":
        mark = str(args[2]["Labels"].get("nodewise.rollout", ""))
        return "back" if mark.endswith("/rollback") else "forward"
    return ""
