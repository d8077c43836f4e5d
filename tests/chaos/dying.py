"""A worker that is killed at one chosen moment: at a write to the store or to the swarm, before or after it.

What a kill leaves behind is what this leaves behind: nothing of the process, its lease, and whatever was written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.world import World

SWARM_WRITES = ("update_service", "create_service", "remove_service")
STORE_WRITES = ("save_rollouts", "set_evidence")
APP_SAVE = "save_rollouts app"


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
        return lambda *args, **kwargs: self._diary.write(
            f"{name} {_about(name, args, kwargs)}", lambda: found(*args, **kwargs)
        )


def _about(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """What the write is about, in the words of the table."""
    if name == "save_rollouts" and "new" in kwargs:  # members are made, begun, called off, taken back
        rollouts = [*args[0], *kwargs["new"]]
        return "app: " + ", ".join(f"{r.kind} {r.service} {'abort' if r.abort else r.phase}" for r in rollouts)
    if name == "create_service":
        return str(args[0]["Labels"].get("nodewise.helper", "")).partition(".")[0]
    if name == "update_service":
        mark = str(args[2]["Labels"].get("nodewise.rollout", ""))
        return "back" if mark.endswith("/rollback") else "forward"
    return ""


def watched(w: World, diary: Diary) -> None:
    """The next worker writes everything into *diary*."""
    w.deps = w.new_worker(engine=Watched(w.swarm, SWARM_WRITES, diary))
    w.deps = w.new_worker(
        engine=Watched(w.swarm, SWARM_WRITES, diary), store=Watched(w.deps.store, STORE_WRITES, diary)
    )


def moments(diary: Diary) -> list[tuple[str, str, Moment]]:
    """For every effect on the swarm, and for kept evidence: before its save, before it, after it.

    And for every save of an app's rollout: before it, and after it.
    """
    found = []
    for number, what in enumerate(diary.writes):
        if what.startswith(APP_SAVE):
            found.append((what, "before save", Moment(number, before=True)))
            found.append((what, "after save", Moment(number, before=False)))
        if not what.startswith((*SWARM_WRITES, "set_evidence")):
            continue
        saves = [n for n in range(number) if diary.writes[n].startswith("save_rollouts")]
        if saves:
            found.append((what, "before save", Moment(saves[-1], before=True)))
        found.append((what, "after save", Moment(number, before=True)))
        found.append((what, "after apply", Moment(number, before=False)))
    return found
