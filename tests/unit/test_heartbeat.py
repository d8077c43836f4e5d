"""The heartbeat of a long job: it keeps the lease, whatever the store says in between."""

from __future__ import annotations

from threading import Event

import pytest

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


@pytest.mark.parametrize("error", [RetryLater("the database does not answer"), ValueError("nobody thought of it")])
def test_a_heartbeat_that_fails_once_goes_on(error: Exception) -> None:
    store = Store(error)
    with world() as w, keeping_lease(w.new_worker(store=store), Lease(Job(Verb.BUILD, "b-1"), 1, 0), 0.03):
        assert store.extended.wait(20)
