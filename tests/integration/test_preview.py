"""A preview against the deploy that follows it: the same plan, the same refusals, and nothing done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nodewise import control, intake
from nodewise.answers.previews import planned
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NotFound, UserError
from nodewise.domain.locks import Lock
from nodewise.domain.model import Approval, Kind, OnFailure
from nodewise.domain.rollout import Phase, Rollout
from tasks.changes import TOLD
from tasks.plan import plan
from tasks.preview import EVENTS, EVERYBODY, MARK, Preview, preview
from tests.integration.every_field import every_field
from tests.integration.standing_swarm import OnSwarm, StandingSwarm, service
from tests.unit.swarm_values import NEW, OLD

IMAGE = "reg:5000/web:2"
HOST_PORT = {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host"}]}


def on_record(deps: Deps) -> dict[str, list[Any]]:
    """Every row of every table."""
    with closing(sqlite3.connect(deps.settings.data_dir / "nodewise.db")) as store:
        tables = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {t: store.execute(f"SELECT * FROM {t}").fetchall() for t in tables}


def deployed(deps: Deps, image: str = IMAGE, name: str = "web") -> Rollout:
    """What a deploy has become once it is planned."""
    asked = intake.deploy(deps, name, image, "person")
    plan(deps, asked.id)
    found = deps.store.rollout(asked.id)
    assert found is not None
    return found


def reason_against(deps: Deps, image: str) -> str:
    """Why a deploy of *image* came to nothing: at once, or when it was planned."""
    try:
        done = deployed(deps, image)
    except UserError as error:
        return str(error)
    return done.reason if done.phase is Phase.FAILED else f"none, it is {done.phase}"


def what(found: Preview) -> list[tuple[str, str]]:
    return [(o.what, o.stops) for o in found.obstacles]


ROLLING = {"bake": "5s", "deadline": "3m", "watch": "1m", "on_failure": "freeze", "hook__before": "migrate --now"}
STAGED = {
    "strategy": "staged",
    "steps": "node2,2",
    "gate__approval": "each",
    "gate__http__url": "http://{task}:80/",
    "prepull": "true",
    "gate__edge": "/run/haproxy.sock",
}


@pytest.mark.parametrize("labels", [{}, ROLLING, STAGED], ids=["plain", "rolling", "staged"])
def test_a_preview_is_the_plan_that_the_deploy_then_has(on_swarm: OnSwarm, labels: dict[str, str]) -> None:
    deps = on_swarm(service("web", labels=labels))
    found = preview(deps, "web", IMAGE)
    done = deployed(deps)
    assert done.phase in (Phase.MOVING, Phase.STAGING, Phase.PREPARING)
    assert done.plan == found.made.plan
    assert done.steps == found.made.steps
    assert (done.from_number, done.to_number) == (found.from_number, found.made.target.number)
    assert [c.name for c in done.chores] == [c.name for c in found.made.plan.chores]


def test_a_preview_leaves_no_trace(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web", labels=STAGED))
    deps.store.add_lock(Lock("web", NEW, "taken back", "nodewise", 1.0))
    before = on_record(deps)
    preview(deps, "web", IMAGE)
    assert on_record(deps) == before


def test_the_nodes_are_told_in_the_order_of_the_steps_with_what_runs_there(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web", labels={"strategy": "staged", "steps": "node3,2"}))
    engine = deps.engine
    assert isinstance(engine, StandingSwarm)
    engine.all_tasks.append(replace(engine.all_tasks[0], id="odd", image=IMAGE))
    spots = [(s.node, s.stage, s.tasks, s.tags) for s in preview(deps, "web", IMAGE).spots]
    assert spots == [("node3", 0, 1, ("1",)), ("node1", 1, 2, ("1", "2")), ("node2", None, 1, ("1",))]


def test_the_changes_are_those_of_the_one_write(on_swarm: OnSwarm) -> None:
    changes = preview(on_swarm(service("web", UpdateConfig={"Parallelism": 2})), "web", IMAGE).changes
    assert [(c.path, c.old, c.new) for c in changes][:2] == [
        ("Labels.nodewise.rollout", None, MARK),
        ("TaskTemplate.ContainerSpec.Image", f"reg:5000/web:1@{OLD}", f"{IMAGE}@{NEW}"),
    ]
    assert {c.path for c in changes} == {
        "Labels.nodewise.rollout",
        "TaskTemplate.ContainerSpec.Image",
        "TaskTemplate.Placement.Platforms",
    }


def test_of_a_service_with_every_field_only_what_a_rollout_changes_is_told(on_swarm: OnSwarm) -> None:
    spec = every_field(f"reg:5000/web:1@{OLD}", {"ID": "s", "Name": "s"}, {"ID": "c", "Name": "c"}, "net")
    spec |= {"Name": "web", "Labels": {"token": "hunter2", "nodewise.bake": "1m"}, "UpdateConfig": {"Parallelism": 1}}
    shown = planned(preview(on_swarm(replace(service("web"), spec=spec)), "web", IMAGE))
    assert {c.path for c in shown.changes} == {*TOLD[:2], TOLD[3], "UpdateConfig.Delay"}
    text = shown.model_dump_json()
    assert "hunter2" not in text
    assert "echo {{.Node.Hostname}}" not in text


def test_of_a_hook_only_the_program_is_told(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web", labels={"hook__before": "sh -c 'PASSWORD=hunter2 migrate'", "prepull": "true"}))
    shown = planned(preview(deps, "web", IMAGE))
    assert [(c.name, c.program, c.nodes) for c in shown.chores] == [
        ("prepull", "", ["node1", "node2", "node3"]),
        ("before", "sh", []),
    ]
    assert "hunter2" not in shown.model_dump_json()


def test_settings_are_told_as_they_will_be_frozen(on_swarm: OnSwarm) -> None:
    shown = planned(preview(on_swarm(service("web", labels=ROLLING | {"gate__approval": "true"})), "web", IMAGE))
    assert (shown.bake, shown.deadline, shown.watch) == (5.0, 180.0, 60.0)
    assert (shown.on_failure, shown.approval) == (OnFailure.FREEZE, Approval.ONCE)
    assert [n.node for n in shown.stages[0]] == ["node1", "node2", "node3"]
    assert [g.name for g in shown.gates] == ["container"]
    assert any("no update settings given" in note for note in shown.notes)


def test_what_runs_already_is_nothing_to_do(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    found = preview(deps, "web", "")
    assert found.already == f"web runs reg:5000/web:1@{OLD} already"
    assert found.changes == ()
    done = deployed(deps, "")
    assert (done.phase, done.reason) == (Phase.SUCCEEDED, found.already)


@pytest.mark.parametrize(
    ("image", "changes"),
    [
        ("reg:5000/web:9", {}),
        ("Reg/Web:", {}),
        (IMAGE, {"UpdateConfig": {"Order": "start-first"}, "EndpointSpec": HOST_PORT}),
        (IMAGE, {"RollbackConfig": {"FailureAction": "rollback"}}),
        (IMAGE, {"labels": {"strategy": "staged", "steps": "nodeX"}}),
        (IMAGE, {"labels": {"disk__min_free": "1GiB"}}),
        (IMAGE, {"labels": {"gate__http__url": "http://{node}:{port}/"}}),
        ("reg:5000/other:1", {"labels": {"strategy": "cells", "app": "shop"}}),
    ],
    ids=["no-image", "no-name", "start-first", "rollback-twice", "no-node", "no-probe", "no-port", "other-app"],
)
def test_a_deploy_that_would_be_refused_is_refused_here_in_the_same_words(
    on_swarm: OnSwarm, image: str, changes: dict[str, Any]
) -> None:
    deps = on_swarm(service("web", **changes))
    engine = StandingSwarm(service("web", **changes), registry={IMAGE: NEW, "reg:5000/other:1": NEW})
    deps = replace(deps, engine=engine)
    with pytest.raises(UserError) as refused:
        preview(deps, "web", image)
    assert reason_against(deps, image) == str(refused.value)


def test_a_service_that_is_not_there_is_not_found_and_the_nearest_is_named(on_swarm: OnSwarm) -> None:
    with pytest.raises(NotFound, match="'wep'") as error:
        preview(on_swarm(service("web")), "wep", IMAGE)
    assert error.value.hint == "did you mean 'web'?"


# -- what stands in the way ------------------------------------------------------------------------------


def test_a_locked_service_is_shown_as_locked_to_everybody(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    control.lock(deps, "web", "the database moves", "person")
    found = preview(deps, "web", IMAGE)
    assert what(found) == [("lock", EVERYBODY)]
    assert "the database moves" in found.obstacles[0].reason
    assert reason_against(deps, IMAGE) == found.obstacles[0].reason


def test_a_digest_that_was_taken_back_stops_events_only(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    deps.store.add_lock(Lock("web", NEW, "r-0 rolled back", "nodewise", 1.0))
    deps.store.add_lock(Lock("web", "sha256:" + "c" * 64, "another", "nodewise", 1.0))
    found = preview(deps, "web", IMAGE)
    assert what(found) == [("lock", EVENTS)]
    assert "r-0 rolled back" in found.obstacles[0].reason
    assert deployed(deps).phase is Phase.MOVING


def test_windows_ages_and_labels_that_mean_nothing_stop_events_only(on_swarm: OnSwarm) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    day = tomorrow.strftime("%a").lower()
    labels = {"window": f"{day} 12:00-13:00", "min_age": "1h", "stratgy": "staged"}
    deps = on_swarm(service("web", labels=labels))
    found = preview(deps, "web", IMAGE)
    assert what(found) == [("window", EVENTS), ("min_age", EVENTS), ("labels", EVENTS)]
    noon = tomorrow.replace(hour=12, minute=0, second=0, microsecond=0)
    assert found.obstacles[0].until == noon.timestamp()
    assert "nodewise.strategy" in found.obstacles[2].reason
    assert deployed(deps).phase is Phase.MOVING


def test_another_rollout_of_the_service_is_named(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    first = deployed(deps)
    found = preview(deps, "web", IMAGE)
    assert what(found) == [("rollout", EVERYBODY)]
    assert found.obstacles[0].reason == f"the same digest is on its way already in {first.id}"
    second = deployed(deps)
    assert (second.phase, second.reason) == (Phase.SUPERSEDED, found.obstacles[0].reason)
    (other,) = preview(deps, "web", "reg:5000/web:1").obstacles
    assert f"a deploy waits for {first.id}, which is moving" in other.reason
    assert deployed(deps, "reg:5000/web:1").phase is Phase.QUEUED


def test_a_rollback_on_its_way_is_waited_for_whatever_it_brings(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    moving = deployed(deps)
    deps.store.save_rollouts([replace(moving, kind=Kind.ROLLBACK)], deps.clock.now())
    assert "waits for" in preview(deps, "web", IMAGE).obstacles[0].reason
    assert deployed(deps).phase is Phase.QUEUED


# -- an app ----------------------------------------------------------------------------------------------


def test_a_service_of_an_app_takes_the_others_along_in_their_order(on_swarm: OnSwarm) -> None:
    app = {"strategy": "cells", "app": "shop"}
    deps = on_swarm(
        service("web", labels=app | {"stage": "2"}),
        service("worker", labels=app | {"stage": "1"}),
        service("cron", labels=app | {"stage": "3"}, RollbackConfig={"FailureAction": "rollback"}),
        service("other", labels={"strategy": "cells", "app": "another"}),
    )
    found = preview(deps, "web", IMAGE)
    assert (found.app, found.stage) == ("shop", 1)
    assert [(m.service, m.stage, bool(m.refused)) for m in found.others] == [("worker", 0, False), ("cron", 2, True)]
    deployed(deps)
    members = [(r.service, r.stage) for r in deps.store.rollouts()]
    assert sorted(members) == [("cron", 2), ("web", 1), ("worker", 0)]
    shown = planned(found).others
    assert (shown[0].nodes, shown[0].refused) == (["node1", "node2", "node3"], "")
    assert "rollback settings" in shown[1].refused
