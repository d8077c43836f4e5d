"""Checks of what Nodewise stands on. Each says whether it is well, what was seen, and what to do if not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError
from tasks.sweep import HEARTBEAT

BEAT_MAX_AGE = 15.0  # seconds; the sweep beats every second
BACKLOG_MAX_AGE = 30.0  # seconds that a due job may wait before something is wrong


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``detail``: what was seen; ``hint``: the way out, empty when all is well."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def check_store(deps: Deps) -> Check:
    """The database answers."""
    try:
        deps.store.ping()
    except NodewiseError as error:
        return Check("store", False, error.what, error.hint or "check NODEWISE_DATABASE_URL and the database behind it")
    except Exception as error:  # whatever a driver says: the answer is no
        return Check("store", False, f"the database is broken: {type(error).__name__}", "restore it from a backup")
    return Check("store", True, "answers")


def check_worker(deps: Deps) -> Check:
    """A job went all the way from the clock over the queue to a worker, not long ago."""
    last = deps.store.last_beat(HEARTBEAT)
    if last is None:
        return Check("worker", False, "no worker has ever been heard of", "start 'nodewise up', or worker and clock")
    age = max(0.0, deps.clock.now() - last)
    if age > BEAT_MAX_AGE:
        hint = "check that clock, Redis and worker run; nothing is lost meanwhile"
        return Check("worker", False, f"last heard of {ago(age)} ago", hint)
    return Check("worker", True, f"heard of {age:.0f} s ago")


def check_outbox(deps: Deps) -> Check:
    """What is to be done is being done."""
    size, age = deps.store.outbox_size(), deps.store.oldest_due(deps.clock.now())
    detail = f"{size} jobs to do" if size != 1 else "1 job to do"
    if age > BACKLOG_MAX_AGE:
        return Check("outbox", False, f"{detail}, the oldest due for {ago(age)}", "look at the workers; start more")
    return Check("outbox", True, detail)


def check_swarm(deps: Deps) -> Check:
    """A manager of the swarm answers."""
    try:
        nodes = deps.engine.nodes()
    except NodewiseError as error:
        return Check("swarm", False, error.what, error.hint or "check NODEWISE_DOCKER_HOSTS, and the socket's access")
    away = [n.name for n in nodes if n.state != "ready"]
    managers = sum(n.role == "manager" for n in nodes)
    detail = f"{len(nodes)} nodes, {managers} of them managers" if len(nodes) != 1 else "1 node"
    if away:
        return Check("swarm", False, f"{detail}; not ready: {', '.join(away)}", "see 'nodewise nodes'")
    return Check("swarm", True, detail)


class Patient:
    """A check that may take long, asked by many: one runs at a time, and nobody waits for it too long."""

    def __init__(self, name: str, look: Callable[[], Check], patience: float = 1.0) -> None:
        self._name = name
        self._look = look
        self._patience = patience
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"check-{name}")
        self._running: Future[Check] | None = None

    def __call__(self) -> Check:
        """The finding, or that there is none yet."""
        running = self._running
        if running is None or running.done():
            running = self._running = self._pool.submit(self._look)
        try:
            return running.result(self._patience)
        except NotYet:
            return Check(self._name, False, f"no answer within {self._patience:g} s", "it is being asked still")


def ago(seconds: float) -> str:
    """A length of time in one unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
