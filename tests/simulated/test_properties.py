"""What holds whatever happens: promises about healthy tasks, about endings, about what is left behind."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodewise import control
from nodewise.domain.errors import Conflict, NotFound
from nodewise.domain.rollout import Kind, Phase
from tests.world import SECOND, World, world

services = st.fixed_dictionaries(
    {
        "replicas": st.sampled_from([None, 1, 2, 3, 6]),
        "parallelism": st.integers(1, 2),
        "order": st.sampled_from(["stop-first", "start-first"]),
        "strategy": st.sampled_from(["rolling", "staged"]),
        "delay": st.sampled_from([0, 2]),
        "watch": st.sampled_from(["0s", "20s"]),
    }
)
deploy = st.tuples(st.just("deploy"), st.sampled_from(["good", "slow", "exits", "sick"]))
acts = st.lists(
    st.tuples(
        st.integers(0, 25),
        deploy
        | st.tuples(st.sampled_from(["rollback", "abort", "pause", "resume", "kill", "leader", "wipe"]), st.just("")),
    ),
    min_size=1,
    max_size=5,
)
APPS = {
    "good": {},
    "slow": {"start": 6.0, "healthcheck": True},
    "exits": {"exits_after": 2.0, "exit_code": 1},
    "sick": {"http": lambda _path, _seconds: 500},
}
HARMLESS = ("good", "slow")


def act(w: World, number: int, what: str, which: str) -> None:
    """One thing that a person, a crash or Swarm does."""
    rollouts = w.deps.store.rollouts("web", active=True)
    try:
        if what == "deploy":
            w.deploy(w.push(f"1.{number}.0", **APPS[which]))
        elif what == "rollback":
            w.rollback()
        elif what in ("abort", "pause", "resume") and rollouts:
            getattr(control, what)(w.deps, rollouts[-1].id, "someone")
        elif what == "kill":
            w.deps = w.new_worker()
        elif what == "leader":
            w.swarm.leader_changed()
        elif what == "wipe":
            w.queue.wipe()
    except (Conflict, NotFound):
        pass  # it is said in words; nothing is changed


def everything_over(w: World) -> bool:
    open_ = w.deps.store.rollouts("web", active=True)
    for rollout in open_:
        if rollout.held:
            control.resume(w.deps, rollout.id, "someone")
    return not open_ and w.deps.store.outbox_size() == 0


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(service=services, script=acts, seed=st.integers(0, 5))
def test_every_rollout_ends_and_the_service_is_whole_and_no_more_is_down_than_was_promised(service, script, seed):
    with world(nodes=3, seed=seed) as w:
        update = {k.title(): service[k] for k in ("parallelism", "order")} | {"Delay": service["delay"] * SECOND}
        w.service(
            replicas=service["replicas"],
            strategy=service["strategy"],
            watch=service["watch"],
            deadline="90s",
            gate__http__url="http://{task}:80/",
            update=update,
        )
        wanted = service["replicas"] or 3
        # What a person takes back at once may find one task on its way, as any native rollback does.
        urgent = any(what in ("abort", "rollback") for _, (what, _) in script)
        healthy = not urgent and all(which in HARMLESS for _, (what, which) in script if what == "deploy")
        spare = 0 if service["order"] == "start-first" else service["parallelism"]
        lowest = wanted

        def look() -> None:
            nonlocal lowest
            lowest = min(lowest, len(w.running()))

        for number, (pause, (what, which)) in enumerate(script, 1):
            until = w.clock.now() + pause
            while w.clock.now() < until:
                w.step(until)
                look()
            act(w, number, what, which)
        end = w.clock.now() + 3600
        while not everything_over(w):
            assert w.clock.now() < end, w.told()
            w.step(end)
            look()

        if healthy:
            assert lowest >= max(0, wanted - spare), (lowest, w.told())
        w.run(lambda: len(w.running()) == wanted, 60)
        assert len(set(w.running())) == 1, "one release everywhere"
        assert w.helpers() == []
        for rollout in w.deps.store.rollouts("web", limit=50):
            if rollout.kind is Kind.ROLLBACK:
                assert rollout.phase not in (Phase.ROLLED_BACK, Phase.ROLLING_BACK)
