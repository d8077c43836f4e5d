"""The watcher: what the swarm says and what one poll shows, turned into wake-ups. It decides nothing itself.

Any number of watchers may run; the one that holds the lease in the store watches. While it is held, rollouts look by
themselves only now and then, so it is dropped as soon as the swarm cannot be watched. Without a watcher nothing is
wrong, only slower.

Events are a hint: their stream may end in silence. So every rollout that goes on is looked at in a poll as well.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

import structlog

from nodewise.bootstrap import WATCHER, Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.errors import NodewiseError
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.swarm import HELPER_LABEL
from nodewise.domain.watching import Going, Heard, Picture, changed, helpers_of, let_go, pictures, until_next
from nodewise.intake import publish
from workers.ears import LONGEST_WAIT, SETTLED, Ears
from workers.runner import CeleryQueue, make_app

LEASE_SECONDS = 10.0
DRIFT_PAUSE, DRIFT_AT_ONCE = 0.5, 4  # seconds, and services: a burst of changes is taken in slowly
DRIFT_EVERY = 30.0  # seconds between two looks at all services
PATIENCE = 2.0  # seconds to wait for the thread's end
LAST = 5  # seconds after SIGTERM when what still runs is cut off

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """The process: watch until SIGTERM or SIGINT. The main thread only waits for them."""
    with beside(settings), suppress(KeyboardInterrupt):
        while True:
            signal.pause()


@contextmanager
def beside(settings: Settings) -> Iterator[None]:
    """Watch in a thread of this process while the block runs."""
    leave_on_sigterm()
    deps = build_deps(settings, CeleryQueue(make_app(settings)))
    ears = Ears(deps)
    thread = threading.Thread(target=watch, args=(deps, ears), name=WATCHER, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.alarm(0)
        ears.close()
        thread.join(PATIENCE)
        if thread.is_alive():  # in an engine's or a queue's timeout
            _give_back(deps)


def leave_on_sigterm() -> None:
    """End as at the end of the program, with everything given back: by default SIGTERM ends a process on the spot."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        signal.alarm(LAST)  # somebody's code may swallow what is raised here, wherever it is
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _give_back(deps: Deps) -> None:
    with suppress(NodewiseError):
        deps.store.drop_lease(WATCHER, _holder())


def watch(deps: Deps, ears: Ears) -> None:
    """Watch until *ears* are closed. Whatever goes wrong is logged, and it begins anew, later and later."""
    view, failures = View(deps), 0
    while not ears.closed:
        began = time.monotonic()
        try:
            _watch_in_turn(deps, ears, view, _holder())
        except NodewiseError as error:
            log.warning("watcher_again", reason=str(error))
        except Exception:
            log.exception("watcher_crashed")
        finally:
            _give_back(deps)
        failures = 0 if time.monotonic() - began > SETTLED else failures + 1
        ears.pause(min(LONGEST_WAIT, 0.25 * 2 ** min(failures, 20)))


def _watch_in_turn(deps: Deps, ears: Ears, view: View, holder: str) -> None:
    """Wait for the lease, then watch until it is lost. Whatever happened before is news at first."""
    while not deps.store.take_lease(WATCHER, holder, LEASE_SECONDS, deps.clock.now()):
        ears.pause(LEASE_SECONDS / 4)
        if ears.closed:
            return
    log.info("watcher", holder=holder)
    ears.open()
    heard, renewed = Heard(anew=True), time.monotonic()
    while not ears.closed:
        wait = view.look(heard)
        heard = ears.take(min(wait, LEASE_SECONDS / 4))
        if time.monotonic() - renewed < LEASE_SECONDS / 4:
            continue
        if not deps.store.take_lease(WATCHER, holder, LEASE_SECONDS, deps.clock.now()):
            log.warning("watcher_lease_lost", holder=holder)
            return
        renewed = time.monotonic()


class View:
    """What was seen last, and so what is new."""

    def __init__(self, deps: Deps, now: Callable[[], float] = time.monotonic) -> None:
        """*now*: the time by which it paces itself, in seconds; what a poll costs is always real time."""
        self._deps = deps
        self._now = now
        self._going: list[Going] = []
        self._pictures: Mapping[str, Picture] = {}
        self._left: frozenset[str] = frozenset()
        self._cost = 0.0
        self._polled = self._drift = self._asked = float("-inf")
        self._noted: set[str] = set()  # services to be looked at for drift, a few at a time: it is never urgent

    def look(self, heard: Heard) -> float:
        """Wake whom it concerns. Returns how many seconds later to look again. Raises RetryLater."""
        going = self._deps.store.going_rollouts()
        self._ask([*self._drifted(heard, going), *_advance(heard.wakes(going))])
        self._going = going
        if heard.anew:
            self._pictures = {}
        if self._now() >= self._polled + until_next(self._cost, bool(going)):
            self._poll(going)
        next_poll = self._polled + until_next(self._cost, bool(going))
        next_drift = self._asked + DRIFT_PAUSE if self._noted else next_poll
        return max(0.0, min(next_poll, next_drift) - self._now())

    def _poll(self, going: list[Going]) -> None:
        began = time.monotonic()
        helpers = helpers_of(self._deps.engine.services(HELPER_LABEL)) if any(g.helpers for g in going) else {}
        ids = {g.service_id for g in going}.union(*(helpers.get(g.rollout, ()) for g in going))
        now = pictures(going, helpers, self._deps.engine.live_tasks(sorted(ids)) if ids else ())
        news = changed(self._pictures, now, self._left)
        self._ask(_advance(news.wake))
        self._pictures, self._left, self._polled = news.pictures, news.left, self._now()
        self._cost = time.monotonic() - began

    def _drifted(self, heard: Heard, going: list[Going]) -> list[Job]:
        """Services to be looked at by themselves: those of no rollout, or of one that has just ended."""
        now = self._now()
        if heard.anew or now >= self._drift + DRIFT_EVERY:
            self._drift = now
            return [Job(Verb.WATCH, "")]
        self._noted |= (heard.services - {g.service_id for g in going}) | let_go(self._going, going)
        if not self._noted or now < self._asked + DRIFT_PAUSE:
            return []
        self._asked = now
        late = self._deps.store.waiting(Verb.WATCH, self._deps.clock.now())  # who is busy is not made busier
        room = max(0, DRIFT_AT_ONCE - late)
        few = sorted(self._noted)[:room]
        self._noted -= set(few)
        return [Job(Verb.WATCH, i) for i in few]

    def _ask(self, jobs: list[Job]) -> None:
        if jobs:
            self._deps.store.put_jobs(jobs, self._deps.clock.now())
            publish(self._deps, jobs)


def _advance(rollouts: Iterable[str]) -> list[Job]:
    return [Job(Verb.ADVANCE, r) for r in rollouts]
