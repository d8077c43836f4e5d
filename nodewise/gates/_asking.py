"""What the gates that ask something over a network share: a deadline that holds, and the worst of several answers.

Knows no protocol: what is asked is the gates' own business.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import TypeVar

from nodewise.domain.placeholders import asks_each_task
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import TaskView

AT_ONCE = 16  # tasks of one node that are asked side by side
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one task: the core of a reading."""

    verdict: Verdict
    detail: str
    reached: bool = True

    @property
    def badness(self) -> int:
        """What counts as a failure from the start on is worse than a silence that is waited for."""
        order = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}
        return order[self.verdict] + (self.verdict is Verdict.FAIL and self.reached)


def ask_tasks(gate: GatePlan, place: Place, text: str, ask: Callable[[TaskView | None], Finding]) -> Reading:
    """Ask for every task of the node where *text* names the task, else once. The worst answer counts."""
    tasks: list[TaskView | None] = [*place.tasks] if asks_each_task(text) else [*place.tasks[:1]] or [None]
    if not tasks:
        return reading(gate, place, Finding(Verdict.INCONCLUSIVE, "no task here to ask"))

    def ask_one(task: TaskView | None) -> Finding:
        if task is not None and asks_each_task(text) and not task.address:
            return Finding(Verdict.INCONCLUSIVE, f"task {task.id} has no address on a network: use {{node}} instead")
        return ask(task)

    if len(tasks) == 1:
        return reading(gate, place, ask_one(tasks[0]), tasks[0])
    with ThreadPoolExecutor(min(AT_ONCE, len(tasks))) as pool:
        found = list(pool.map(ask_one, tasks))
    worst, task = max(zip(found, tasks, strict=True), key=lambda pair: pair[0].badness)
    like_it = sum(f.verdict is worst.verdict for f in found)
    told = Finding(worst.verdict, f"{like_it} of {len(found)} tasks: {worst.detail}", worst.reached)
    return reading(gate, place, told, task)


def reading(gate: GatePlan, place: Place, found: Finding, task: TaskView | None = None, memo: str = "") -> Reading:
    """*found* as a reading of *gate* at *place*."""
    task_id = task.id if task else ""
    return Reading(
        gate.name, place.node.id, found.verdict, found.detail, place.now, task_id, reached=found.reached, memo=memo
    )


class Connections:
    """The sockets that one act has opened, to be cut all at once from another thread."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._over = Event()

    @property
    def over(self) -> bool:
        """Whether the time is up. What is read from then on may be cut short and look whole."""
        return self._over.is_set()

    def add(self, sock: socket.socket) -> None:
        self._sockets.append(sock)
        if self.over:  # opened too late: nobody else would cut it
            _cut(sock)

    def cut(self) -> None:
        self._over.set()
        for sock in tuple(self._sockets):
            _cut(sock)


def within(seconds: float, act: Callable[[Connections], T]) -> T:
    """What *act* returns, if it does so in *seconds* altogether; else TimeoutError.

    A timeout on a socket is for one read, and a server that sends a byte a second keeps to it for ever. So
    *act* runs in a thread of its own and adds the sockets that it opens to what it is given, and they are cut
    at the deadline: the thread ends soon afterwards.
    """
    connections, done = Connections(), Future[T]()

    def run() -> None:
        try:
            done.set_result(act(connections))
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="gate", daemon=True).start()
    try:
        return done.result(seconds)
    finally:
        connections.cut()


def _cut(sock: socket.socket) -> None:
    """End a connection that another thread may be reading. Not by the socket's own method: TLS has another one,
    which takes the reader's state away under its hands."""
    with suppress(OSError, TypeError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
