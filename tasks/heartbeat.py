"""Keep a long job's lease alive while it runs, so that nobody else begins it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nodewise.bootstrap import Deps
from nodewise.domain.jobs import Verb
from nodewise.store import Lease

LONG = (Verb.BUILD, Verb.PUSH)


@contextmanager
def keeping_lease(deps: Deps, lease: Lease, seconds: float) -> Iterator[None]:
    """Extend *lease* every third of *seconds* from a thread, for the jobs that take long."""
    if lease.job.verb not in LONG:
        yield
        return
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds / 3):
            deps.store.extend_lease(lease, deps.clock.now(), seconds)

    thread = threading.Thread(target=beat, name=f"lease-{lease.job.subject}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
