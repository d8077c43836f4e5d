"""Small makers of observed values, so that a test states only what it is about."""

from __future__ import annotations

from dataclasses import replace

from nodewise.domain.causes import GOING_BACK
from nodewise.domain.release import fingerprint, marked
from nodewise.domain.rollout import Kind, Phase, Plan, Rollout, Seen
from nodewise.domain.steps import GatePlan, Step
from nodewise.domain.swarm import NodeView, ServiceView, TaskView

OLD = "sha256:" + "a" * 64
NEW = "sha256:" + "b" * 64
CONTAINER = GatePlan("container", 0.0, 1, 1)
NODES = {f"n{i}": NodeView(f"n{i}", f"node{i}", "ready", "active", f"10.0.0.{i}") for i in (1, 2, 3)}


def spec(digest, replicas=3, **labels):
    return {
        "Name": "web",
        "Labels": dict(labels),
        "TaskTemplate": {"ContainerSpec": {"Image": f"reg:5000/web:1@{digest}"}},
        "Mode": {"Replicated": {"Replicas": replicas}},
    }


def plan(**changes):
    base = spec(OLD)
    values = {
        "strategy": "rolling",
        "base": base,
        "base_print": fingerprint(base),
        "base_mark": "",
        "target": spec(NEW),
        "gates": (CONTAINER,),
        "deadline": 60.0,
    }
    return Plan(**(values | changes))


def rollout(phase=Phase.MOVING, kind=Kind.DEPLOY, **changes):
    made = Rollout(
        id="r-1",
        service="web",
        kind=kind,
        phase=phase,
        origin="test",
        created_at=0.0,
        service_id="s1",
        plan=plan(),
        steps=tuple(Step(n.id, n.name) for n in NODES.values()),
        started_at=0.0,
        deadline_at=60.0,
    )
    return replace(made, **changes)


def before():
    """The service as it was planned upon."""
    return ServiceView("s1", "web", 10, spec(OLD))


def written(update_state="updating", digest=NEW, mark="r-1", **changes):
    update_config = GOING_BACK if mark.endswith("/rollback") else None
    return ServiceView("s1", "web", 11, marked(spec(digest), mark, update_config), update_state, **changes)


def task(slot, new=True, state="running", desired="running", **changes):
    values = {
        "id": f"t{slot}{'new' if new else 'old'}",
        "service_id": "s1",
        "node_id": f"n{slot}",
        "slot": slot,
        "state": state,
        "desired": desired,
        "image": f"reg:5000/web:1@{NEW if new else OLD}",
        "up_to_date": new,
    }
    return TaskView(**(values | changes))


def seen(service, *tasks, readings=()):
    return Seen(service, tuple(tasks), NODES, tuple(readings))
