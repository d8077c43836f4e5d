"""Keep a long job's lease alive while it runs, so that nobody else begins it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from nodewise.bootstrap import Deps
from nodewise.domain.errors import NodewiseError
from nodewise.domain.jobs import Verb
from nodewise.store import Lease

LONG = (Verb.BUILD, Verb.PUSH, Verb.TELL)
SOON = 1.0  # seconds until a lease that could not be extended is tried to be, at the latest

log = structlog.get_logger(__name__)


@contextmanager
def keeping_lease(deps: Deps, lease: Lease, seconds: float) -> Iterator[None]:
    """Extend *lease* every third of *seconds* from a thread, for the jobs that take long.

    Whatever keeps it from doing so once must not end it: the lease would run out, and a second build begin. What
    nobody has thought of is told with its traceback.
    """
    if lease.job.verb not in LONG:
        yield
        return
    done = threading.Event()

    def beat() -> None:
        pause = seconds / 3
        while not done.wait(pause):
            try:
                deps.store.extend_lease(lease, deps.clock.now(), seconds)
                pause = seconds / 3
            except Exception as error:
                unexpected = not isinstance(error, NodewiseError)
                log.warning("lease_not_extended", subject=lease.job.subject, reason=str(error), exc_info=unexpected)
                pause = min(SOON, seconds / 3)

    thread = threading.Thread(target=beat, name=f"lease-{lease.job.subject}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
