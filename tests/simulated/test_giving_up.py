"""Jobs that fail, for good or too often, or kill their worker: what they were for ends, and nothing is left hanging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase, Rollout
from tests.chaos.dying import Killed
from tests.world import World, world

STAGED = {"replicas": None, "strategy": "staged"}


class Failing:
    """An engine that raises *error* instead of answering *question*, as often as *times* says."""

    def __init__(self, inner: Any, question: str, error: BaseException, times: int) -> None:
        self._inner, self._question, self._error, self.times = inner, question, error, times

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._question and self.times > 0 else getattr(self._inner, name)

    def _fail(self, *_: Any) -> Any:
        self.times -= 1
        raise self._error


def fail(w: World, question: str, error: BaseException, times: int) -> None:
    w.deps = w.new_worker(engine=Failing(w.swarm, question, error, times))


def until(w: World, fact: Callable[[], Any]) -> None:
    """Let jobs be done until *fact*; a worker that is killed is followed by one with the same engine."""
    end = w.clock.now() + 36_000
    while not fact():
        assert w.clock.now() < end, w.told()
        try:
            w.step()
        except Killed:
            w.deps = w.new_worker(engine=w.deps.engine)


def staging(w: World) -> Rollout:
    """A rollout with two candidates."""
    w.service(**STAGED, bake="5s")
    rollout = w.deploy(w.push("1.1.0"))
    w.run(lambda: len(w.helpers()) == 2)
    return rollout


@pytest.mark.parametrize(("error", "times"), [(GiveUp("it will never do"), 1), (RetryLater("not now"), 200)])
def test_a_rollout_given_up_goes_on_until_what_it_made_is_gone(error, times):
    with world() as w:
        rollout = staging(w)
        fail(w, "tasks", error, times)
        ended = w.end(rollout, 7200)
        assert ended.phase is Phase.FAILED
        assert error.what in ended.reason
        assert w.helpers() == []
        assert w.running() == ["1.0.0"] * 5
        w.wait(2)
        assert w.deps.store.outbox_size() == 0


def test_clearing_that_is_given_up_ends_and_tells_that_something_may_be_left():
    with world() as w:
        rollout = staging(w)
        fail(w, "tasks", GiveUp("it will never do"), 2)
        ended = w.end(rollout)
        assert ended.phase is Phase.FAILED
        assert "nodewise doctor" in ended.reason


def test_a_rollout_that_no_job_would_look_at_again_is_found_by_the_sweep():
    with world() as w:
        rollout = staging(w)
        store = w.deps.store
        lease = store.begin_job(Job(Verb.ADVANCE, rollout.id), w.clock.now() + 3600, 1.0)
        store.finish_job(lease, w.clock.now())
        assert store.outbox_size() == 0
        assert w.end(rollout).phase is Phase.SUCCEEDED


def test_an_app_whose_job_is_given_up_calls_off_those_that_wait_for_their_turn():
    with world() as w:
        for n, name in enumerate(("web", "worker")):
            w.service(name, replicas=2, strategy="cells", app="shop", stage=str(n))
        w.deploy(w.push("1.1.0"))
        waits = w.run(lambda: next((r for r in w.deps.store.rollouts("worker") if r.phase is Phase.WAITING), None))
        fail_app = Failing(w.deps.store, "app_members", GiveUp("it will never do"), 1)
        w.deps = w.new_worker(store=fail_app)
        ended = w.end(waits)
        assert ended.phase is Phase.ABORTED
        assert "it will never do" in ended.reason
