"""What holds whatever happens: promises about healthy tasks, about endings, about what is left behind.

With ``--hypothesis-profile=deep`` there are many examples, and others every time.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodewise.domain.rollout import Kind, Phase
from tests.simulated.drawn import (
    CHORES,
    CRASHES,
    PEOPLE,
    RELEASES,
    UPDATES,
    Lowest,
    crash,
    finish,
    make,
    most_down,
    person,
    play,
    scripts,
    sparse,
    takes_back,
)
from tests.world import World, world

pytestmark = pytest.mark.seconds(25)


def examples(few: int) -> settings:
    """The same *few* every time, unless another profile asks for more."""
    plain = settings(suppress_health_check=list(HealthCheck))
    known = settings.get_current_profile_name() == "nodewise"
    return settings(plain, max_examples=few, derandomize=True) if known else plain


LABELS = {"deadline": "90s", "gate__approval__deadline": "60s"}
services = st.fixed_dictionaries(
    {
        **UPDATES,
        **CHORES,
        "strategy": st.sampled_from(["rolling", "staged"]),
        "watch": st.sampled_from(["0s", "20s"]),
        "gate__approval": sparse("false", "true", "each"),
        "on_failure": sparse("rollback", "freeze", "pause"),
    }
)
deploys = st.tuples(st.just("deploy"), st.sampled_from(sorted(RELEASES)))


@examples(30)
@given(
    service=services,
    script=scripts(deploys | st.tuples(st.sampled_from(PEOPLE + CRASHES), st.just("web")), 5),
    approves=st.booleans(),
    seed=st.integers(0, 5),
)
def test_every_rollout_ends_and_the_service_is_whole_and_no_more_is_down_than_was_promised(
    service, script, approves, seed
):
    if service["strategy"] == "rolling" and service["on_failure"] == "pause":
        service = {**service, "on_failure": "freeze"}  # pause means nothing with rolling
    with world(nodes=3, seed=seed) as w:
        wanted = make(w, "web", "", service, gate__http__url="http://{task}:80/", **LABELS)
        lowest = Lowest(w, "web")

        def act(number: int, what: str, on: str) -> None:
            if what == "deploy":
                w.deploy(w.push(f"1.{number}.0", **RELEASES[on]))
            elif what in CRASHES:
                crash(w, what)
            else:
                person(w, what, on)

        play(w, script, act)
        finish(w, approves)
        assert lowest.of["web"] >= wanted - most_down(service, script, takes_back(service, script)), w.told()
        make_whole(w)
        check(w, "web", wanted)


def make_whole(w: World) -> None:
    """What was left as it is by its own wish (frozen) is taken back by a person, who passes the lock."""
    last = w.deps.store.last_written("web")
    if last is not None and last.phase is Phase.FROZEN:
        w.rollback()
        finish(w, approves=True)


def check(w: World, name: str, wanted: int) -> None:
    """One release everywhere, the one that is told, on as many tasks as are wanted; nothing is left behind.

    Nobody else's hand is seen where there was none, and a rollback is never rolled back.
    """
    w.run(lambda: len(places(w, name)) == wanted, 60)
    assert set(w.running(name)) == {expected(w, name)}, w.told()
    assert w.helpers() == [], w.told()
    for rollout in w.deps.store.rollouts(name):
        assert rollout.phase not in (Phase.CHANGED, Phase.ROLLED_BACK_BY_SWARM), w.told()
        assert rollout.kind is Kind.DEPLOY or rollout.phase in BACK_ENDS, w.told()


def places(w: World, name: str) -> set[str]:
    """Where a task runs. Swarm itself may leave two in one slot: where a task fails and is restarted while start-first
    brings its successor up, the updater does not know of the restarted one (seen with the simulated swarm, which
    follows swarmkit in this). The next update of the service ends it.
    """
    view = w.swarm.service(name)
    assert view is not None
    return {t.place for t in w.swarm.tasks([view.id]) if t.running}


BACK_ENDS = (Phase.SUCCEEDED, Phase.SUPERSEDED, Phase.FAILED)


def expected(w: World, name: str) -> str:
    """The tag that has to run, by what the last rollout that wrote the service says of itself."""
    last = w.deps.store.last_written(name)
    if last is None:
        return "1.0.0"
    assert last.phase in (Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.ABORTED, Phase.SUPERSEDED), w.told()
    number = last.to_number if last.phase is Phase.SUCCEEDED else last.from_number
    release = w.deps.store.release(name, number or 0)
    assert release is not None
    return release.image.partition("@")[0].rpartition(":")[2]


# -- apps ------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
members = st.lists(
    st.fixed_dictionaries({**UPDATES, **CHORES, "replicas": st.integers(1, 3), "stage": st.integers(1, 3)}),
    min_size=2,
    max_size=3,
)
asked = st.tuples(st.just("deploy"), st.sampled_from(["good", "slow", "exits", *NAMES]))
done = st.tuples(
    st.sampled_from(["rollback", "abort", "pause", "resume", *CRASHES]),
    st.sampled_from(NAMES),
)


@examples(20)
@given(app=members, release=asked, script=scripts(done | asked, 4), seed=st.integers(0, 5))
def test_every_rollout_of_an_app_ends_and_all_its_services_run_the_new_release_or_all_the_old_one(
    app, release, script, seed
):
    services = dict(zip(NAMES, app, strict=False))
    with world(nodes=3, seed=seed) as w:
        wanted = make_app(w, services)
        lowest = Lowest(w, *services)

        def act(number: int, what: str, on: str) -> None:
            if what == "deploy":
                w.deploy(w.push(f"1.{number}.0", **failing_at(on)), "a")
            elif what in CRASHES:
                crash(w, what)
            elif on in services:
                person(w, what, on)

        play(w, [(0, release), *script], act)
        finish(w, approves=True)
        for name, drawn in services.items():
            assert lowest.of[name] >= wanted[name] - most_down(drawn, script, taken_back=True), w.told()
            check(w, name, wanted[name])
        check_together(w, services)


def make_app(w: World, services: dict[str, dict[str, Any]]) -> dict[str, int]:
    """The services of one app on one image; how many tasks each is to have."""
    image = w.push("1.0.0")
    wanted = {}
    for name, drawn in services.items():
        own = {"gate__http__url": f"http://{{task}}:80/{name}", "stage": str(drawn["stage"])}
        wanted[name] = make(w, name, image, drawn | own, strategy="cells", app="shop", **LABELS)
    return wanted


def failing_at(release: str) -> dict[str, Any]:
    """A release by name; by the name of a service, one whose gate fails there alone."""
    if release not in NAMES:
        return RELEASES[release]
    return {"http": lambda path, _seconds: 500 if path == f"/{release}" else 200}


def check_together(w: World, services: dict[str, Any]) -> None:
    """All run the same, where no newer deploy and no person's later rollback has parted them."""
    rollouts = w.deps.store.rollouts()
    apps = {r.app_rollout for r in rollouts if r.app_rollout}
    ended = max(r.ended_at or 0.0 for r in rollouts if r.app_rollout)
    if any(not r.app_rollout and r.kind is Kind.ROLLBACK and r.created_at >= ended for r in rollouts):
        return
    last = [r for r in rollouts if r.app_rollout == max(apps)]
    if all(r.phase is Phase.SUCCEEDED and r.kind is Kind.DEPLOY for r in last):
        assert {tag for name in services for tag in w.running(name)} == {expected(w, "a")}, w.told()
    elif len(apps) == 1:
        assert {tag for name in services for tag in w.running(name)} == {"1.0.0"}, w.told()
