"""The watcher's process on a real store, with a swarm that says what the test wants to have said."""

from __future__ import annotations

import queue
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodewise.bootstrap import WATCHER, Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.model import Phase, Rollout
from nodewise.domain.rollout import POLL
from nodewise.domain.swarm import HELPER_LABEL, ROLLOUT_LABEL, ServiceView, TaskView
from nodewise.domain.watching import Heard
from tests.product import ROOT, Product, wait_for
from tests.unit.swarm_values import plan, rollout, spec, task
from workers.ears import Ears
from workers.watcher import DRIFT_AT_ONCE, View, watch

ALL = Job(Verb.WATCH, "")


class Swarm:
    """Only what a watcher asks. ``end`` ends the stream of events; ``fault`` is raised by the next polls."""

    def __init__(self) -> None:
        self.live: list[TaskView] = []
        self.helpers: list[ServiceView] = []
        self.fault: Exception | None = None
        self.asked: list[list[str]] = []
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def say(self, type_: str, id_: str) -> None:
        self._events.put({"Type": type_, "Action": "update", "Actor": {"ID": id_, "Attributes": {}}})

    def end(self) -> None:
        self._events.put(None)

    def events(self) -> Iterator[Mapping[str, object]]:
        return iter(self._events.get, None)

    def services(self, label: str = "") -> list[ServiceView]:
        assert label == HELPER_LABEL
        return self.helpers

    def live_tasks(self, service_ids: list[str]) -> list[TaskView]:
        self.asked.append(service_ids)
        if self.fault is not None:
            raise self.fault
        return self.live


class Asked:
    """The queue: which jobs it was told of."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def publish(self, job: Job, delay: float = 0.0) -> None:
        self.jobs.append(job)

    def await_one(self, job: Job) -> None:
        wait_for(f"{job}", lambda: job in self.jobs, 20)
        self.jobs.clear()


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def deps(swarm: Swarm, asked: Asked, tmp_path: Path) -> Iterator[Deps]:
    made: Any = build_deps(Settings(data_dir=tmp_path), asked)
    made.store.migrate()
    yield replace(made, engine=swarm)
    made.store.close()


def going(deps: Deps, id_: str, service: str, **changes: Any) -> Rollout:
    made = rollout(Phase.PENDING, id=id_, service=service, service_id=f"{service}-id", plan=None, steps=())
    deps.store.add_rollout(made, deps.clock.now(), "test")
    deps.store.finish_job(deps.store.begin_job(Job(Verb.PLAN, id_), deps.clock.now(), 9.0), deps.clock.now())
    (saved,) = deps.store.save_rollouts([replace(made, phase=Phase.MOVING, plan=plan(), **changes)], deps.clock.now())
    return saved


@contextmanager
def watching(deps: Deps) -> Iterator[threading.Thread]:
    ears = Ears(deps)
    thread = threading.Thread(target=watch, args=(deps, ears), daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        ears.close()
        thread.join(10)
        assert not thread.is_alive()


def settled(swarm: Swarm, asked: Asked) -> None:
    """Past the looks at everything with which a watcher begins."""
    wait_for("quiet polls", lambda: len(swarm.asked) > 3, 20)
    asked.jobs.clear()


def said(swarm: Swarm, id_: str) -> bool:
    """Say it until it is heard: what is said together with a new stream is part of the look at all."""
    swarm.say("service", id_)
    return True


def held(deps: Deps) -> bool:
    return deps.store.lease_holder(WATCHER, deps.clock.now()) is not None


def advance(id_: str) -> Job:
    return Job(Verb.ADVANCE, id_)


def test_who_is_behind_with_looks_for_drift_is_asked_for_no_more_until_they_are_done(deps: Deps, asked: Asked) -> None:
    at = iter(range(100))
    view = View(deps, lambda: float(next(at)))
    view.look(Heard(anew=True))

    def looks() -> set[str]:
        return {job.subject for job in asked.jobs if job.verb is Verb.WATCH}

    view.look(Heard(services=frozenset(f"service-{n}" for n in range(10))))
    for _ in range(5):
        view.look(Heard())
    assert len(looks()) == DRIFT_AT_ONCE
    for subject in looks():
        lease = deps.store.begin_job(Job(Verb.WATCH, subject), deps.clock.now(), 9.0)
        assert lease
        deps.store.finish_job(lease, deps.clock.now())
    view.look(Heard())
    assert len(looks()) == 2 * DRIFT_AT_ONCE


def test_what_changes_wakes_its_own_rollout_and_the_job_stands_in_the_outbox(deps: Deps, swarm: Swarm, asked: Asked):
    for n in (1, 2):
        going(deps, f"r-{n}", f"web{n}")
    swarm.live = [task(1, id=f"t{n}", service_id=f"web{n}-id", state="starting") for n in (1, 2)]
    with watching(deps):
        wait_for("both to be looked at", lambda: {advance("r-1"), advance("r-2"), ALL} <= set(asked.jobs), 20)
        settled(swarm, asked)
        swarm.live = [swarm.live[0], replace(swarm.live[1], state="running")]
        asked.await_one(advance("r-2"))
        swarm.say("service", "web1-id")
        wait_for("the service's rollout", lambda: advance("r-1") in asked.jobs, 20)
        assert set(asked.jobs) == {advance("r-1")}, "and it is not taken for drift"
        wait_for("drift", lambda: said(swarm, "other-id") and Job(Verb.WATCH, "other-id") in asked.jobs, 20)
    assert all(ids == ["web1-id", "web2-id"] for ids in swarm.asked), "one call for all of them"
    assert {j.subject for j, _ in deps.store.due_jobs(deps.clock.now() + 60, 1.0)} == {"r-1", "r-2", "", "other-id"}


def test_helpers_are_asked_for_and_looked_at_with_the_service(deps: Deps, swarm: Swarm, asked: Asked):
    going(deps, "r-1", "web", helpers=True)
    labels = {ROLLOUT_LABEL: "r-1", HELPER_LABEL: "before"}
    with watching(deps):
        settled(swarm, asked)
        swarm.helpers = [ServiceView("helper-id", "helper", 1, spec("sha256:1") | {"Labels": labels})]
        asked.await_one(advance("r-1"))
        assert wait_for("its tasks to be asked for", lambda: swarm.asked[-1] == ["helper-id", "web-id"], 20)
        swarm.live = [task(1, service_id="helper-id", state="complete", desired="complete")]
        asked.await_one(advance("r-1"))


def test_a_service_is_looked_at_by_itself_once_its_rollout_has_ended(deps: Deps, swarm: Swarm, asked: Asked):
    moving = going(deps, "r-1", "web")
    with watching(deps):
        settled(swarm, asked)
        deps.store.save_rollouts([replace(moving, phase=Phase.CHANGED, ended_at=1.0)], deps.clock.now())
        asked.await_one(Job(Verb.WATCH, "web-id"))


def test_a_stream_of_events_that_ends_is_begun_anew_and_everything_is_looked_at(deps: Deps, swarm: Swarm, asked: Asked):
    going(deps, "r-1", "web")
    with watching(deps):
        wait_for("the first look at all", lambda: {ALL, advance("r-1")} <= set(asked.jobs), 20)
        settled(swarm, asked)
        swarm.end()
        wait_for("the next one", lambda: {ALL, advance("r-1")} <= set(asked.jobs), 20)
        wait_for("what is said next", lambda: said(swarm, "other-id") and Job(Verb.WATCH, "other-id") in asked.jobs, 20)


@pytest.mark.parametrize("fault", [RetryLater("no manager answers"), RuntimeError("a bug")], ids=["away", "a bug"])
def test_one_that_cannot_watch_gives_its_lease_back_and_begins_anew(
    deps: Deps, swarm: Swarm, asked: Asked, fault: Exception
):
    going(deps, "r-1", "web")
    with watching(deps):
        asked.await_one(advance("r-1"))
        assert held(deps)
        assert deps.pulse.poll(deps) > POLL
        swarm.fault = fault
        wait_for("the lease to be free", lambda: not held(deps), 20, 0.01)
        swarm.fault = None
        polls = len(swarm.asked)
        wait_for("it to watch again", lambda: len(swarm.asked) > polls + 1 and held(deps), 20)
        asked.jobs.clear()
        swarm.live = [task(1, service_id="web-id")]
        asked.await_one(advance("r-1"))
    assert not held(deps), "one that ends gives it back"


def test_of_two_one_watches_and_the_other_takes_over(deps: Deps, swarm: Swarm, asked: Asked):
    going(deps, "r-1", "web")
    assert deps.store.take_lease(WATCHER, "another", 60.0, deps.clock.now())
    with watching(deps) as thread:
        assert deps.pulse.poll(deps) > POLL
        assert asked.jobs == swarm.asked == []
        assert thread.is_alive()
        deps.store.drop_lease(WATCHER, "another")
        asked.await_one(advance("r-1"))
    replaced = replace(deps, pulse=type(deps.pulse)())
    assert replaced.pulse.poll(replaced) == POLL, "without a watcher rollouts look by themselves"


def test_nobody_is_polled_for_while_nothing_goes_on(deps: Deps, swarm: Swarm):
    view, quiet = View(deps), Ears(deps)
    waits = [view.look(quiet.take(0.0)) for _ in range(3)]
    assert swarm.asked == []
    assert min(waits) > POLL
    going(deps, "r-1", "web")
    look: Callable[[], float] = lambda: view.look(quiet.take(0.0))  # noqa: E731
    wait_for("the first poll of it", lambda: look() is not None and swarm.asked == [["web-id"]], 20)


def leases(folder: Path) -> dict[str, str]:
    """Which leases are held, and by whom, as it stands in the store."""
    with closing(sqlite3.connect(folder / "nodewise.db", timeout=10)) as store:
        held = "SELECT name, holder FROM leases WHERE name IN ('clock', 'watcher')"
        return dict(store.execute(held).fetchall())


def test_up_watches_in_its_clock_and_gives_the_leases_back_when_it_stops(tmp_path: Path):
    with Product(tmp_path, [f"unix://{tmp_path}/no-engine.sock"], {}) as product:
        found = wait_for("both leases", lambda: leases(tmp_path) if len(leases(tmp_path)) == 2 else None)
        assert {holder.rpartition(":")[2] for holder in found.values()} == {str(product.pid("clock"))}
    assert leases(tmp_path) == {}


def test_the_command_watches_alone_and_ends_when_it_is_told_to(tmp_path: Path):
    product = Product(tmp_path, [f"unix://{tmp_path}/no-engine.sock"], {})
    process = subprocess.Popen([sys.executable, "-m", "workers.main", "watcher"], cwd=ROOT, env=product.env)
    try:
        wait_for("the lease", lambda: process.poll() is None and held_by(tmp_path))
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert leases(tmp_path) == {}


def held_by(folder: Path) -> str | None:
    try:
        return leases(folder).get(WATCHER)
    except sqlite3.OperationalError:  # the table is still being made
        return None
