"""The heartbeat of a long job: it keeps the lease, whatever the store says in between."""

from __future__ import annotations

from threading import Event

import pytest
from structlog.testing import capture_logs

from nodewise.domain.errors import RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.store import Lease
from tasks.heartbeat import keeping_lease
from tests.world import world


class Store:
    """Fails at the first call, and notes the second."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.extended = Event()

    def extend_lease(self, *_: object) -> bool:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.extended.set()
        return True


EXPECTED, UNEXPECTED = RetryLater("the database does not answer"), ValueError("nobody thought of it")


def fail_once(error: Exception) -> None:
    """Let the heartbeat fail once, and go on."""
    store = Store(error)
    with world() as w, keeping_lease(w.new_worker(store=store), Lease(Job(Verb.BUILD, "b-1"), 1, 0), 0.03):
        assert store.extended.wait(20)


@pytest.mark.parametrize("error", [EXPECTED, UNEXPECTED])
def test_a_heartbeat_that_fails_once_goes_on(error: Exception) -> None:
    fail_once(error)


@pytest.mark.parametrize(("error", "told"), [(EXPECTED, False), (UNEXPECTED, True)])
def test_a_heartbeat_tells_the_traceback_of_what_nobody_has_thought_of_and_of_nothing_else(error, told) -> None:
    with capture_logs() as logs:
        fail_once(error)
    (line,) = [line for line in logs if line["event"] == "lease_not_extended"]
    assert line["reason"] == str(error)
    assert line["exc_info"] is told
