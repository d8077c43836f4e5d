"""The clock: Celery's beat, which asks for a sweep every second.

Any number of clocks may run; the one that holds the lease in the store ticks. Without a clock nothing is
wrong, only slower to be found: lost messages stay lost until one runs again.
"""

from __future__ import annotations

import os
import socket
import threading
import time

import structlog

from nodewise.bootstrap import build_deps
from nodewise.config.settings import Settings
from workers.runner import make_beat

LEASE = "clock"
LEASE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def tick(settings: Settings) -> None:
    """Wait for the lease, then tick until it is lost or the process is told to stop."""
    deps = build_deps(settings)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    while not deps.store.take_lease(LEASE, holder, LEASE_SECONDS, deps.clock.now()):
        time.sleep(LEASE_SECONDS / 4)
    service = make_beat(settings)

    def keep() -> None:
        while deps.store.take_lease(LEASE, holder, LEASE_SECONDS, deps.clock.now()):
            time.sleep(LEASE_SECONDS / 4)
        log.warning("clock_lease_lost", holder=holder)
        service.stop()

    threading.Thread(target=keep, name="clock-lease", daemon=True).start()
    try:
        service.start()
    finally:
        deps.store.drop_lease(LEASE, holder)
