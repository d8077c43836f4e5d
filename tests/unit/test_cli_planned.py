"""How a plan that is only shown looks."""

from __future__ import annotations

import io

from rich.console import Console

from nodewise.answers.previews import Change, Obstacle, Planned, PlannedChore, PlannedMember, PlannedNode
from nodewise.answers.rollout_schemas import Gate
from nodewise.cli.planned import picture
from nodewise.domain.model import Approval, OnFailure
from tests.unit.swarm_values import NEW, OLD

FROM, TO = f"reg:5000/web:1@{OLD}", f"reg:5000/web:2@{NEW}"


def node(number: int, tasks: int = 1, *tags: str) -> PlannedNode:
    return PlannedNode(node=f"node{number}", node_id=f"n{number}", tasks=tasks, tags=list(tags or ("1",)))


def planned(**changes) -> Planned:
    values = {
        "service": "web",
        "from_release": 3,
        "to_release": 4,
        "from_image": FROM,
        "to_image": TO,
        "already": "",
        "strategy": "rolling",
        "stages": [[node(1), node(2)]],
        "rest": [],
        "gates": [Gate(name="container", interval=0.0, successes=1, failures=1, config={})],
        "candidate_gates": [],
        "bake": 0.0,
        "deadline": 600.0,
        "watch": 0.0,
        "on_failure": OnFailure.ROLLBACK,
        "approval": Approval.NEVER,
        "approval_deadline": 86400.0,
        "chores": [],
        "notes": [],
        "in_the_way": [],
        "changes": [],
        "app": "",
        "stage": 0,
        "others": [],
    }
    return Planned(**(values | changes))


def rows(value: Planned, ascii_only: bool = False) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=160).print(picture(value.model_dump(mode="json"), ascii_only))
    return [" ".join(line.split()) for line in file.getvalue().splitlines() if line.strip()]


def test_a_plain_plan_is_told_in_the_order_of_things() -> None:
    assert rows(planned()) == [
        "web 1 (aaaaaaaaaaaa) → 2 (bbbbbbbbbbbb) release 3 → 4",
        "strategy rolling: one update of the service, watched node by node; the order of the nodes is Swarm's",
        "node node1 1 task of 1",
        "node node2 1 task of 1",
        "gate container",
        "times deadline 10 min 00 s",
        "on failure rollback",
    ]


def test_a_staged_plan_tells_chores_stages_gates_approval_and_who_comes_at_the_end() -> None:
    http = Gate(name="http", interval=1.0, successes=2, failures=3, config={"url": "http://{task}/"})
    told = rows(
        planned(
            strategy="staged",
            stages=[[node(1, 2)], [node(2)]],
            rest=[node(3, 1, "0.9", "1")],
            candidate_gates=[http],
            approval=Approval.EACH,
            chores=[
                PlannedChore(name="disk", nodes=["node1"], program="", need=2**31),
                PlannedChore(name="prepull", nodes=["node1", "node2"], program="", need=0),
                PlannedChore(name="before", nodes=[], program="migrate", need=0),
                PlannedChore(name="after", nodes=[], program="warm-up", need=0),
            ],
            bake=5.0,
            watch=60.0,
            notes=["the delay is raised"],
        )
    )
    assert told[2:-2] == [
        "disk 2.0 GiB must be free on node1",
        "prepull on node1, node2",
        "hook.before runs migrate once, in the new image",
        "stage 1 node1 2 tasks of 1",
        "stage 2 node2 1 task of 1",
        "at the end node3 1 task of 0.9, 1",
        "gate container",
        "on candidates http every 1.0 s, 2 good in a row pass, 3 bad veto url http://{task}/",
        "approval after every stage, and before the new release takes over, within 24 h 00 min",
        "hook.after runs warm-up once, in the new image",
        "times bake 5.0 s, deadline 10 min 00 s, watch 1 min 00 s",
    ]
    assert told[-1] == "note the delay is raised"


def test_what_stands_in_the_way_comes_first_and_says_whom_it_stops() -> None:
    lock = Obstacle(what="lock", reason="web is locked by ann: moving", stops="everybody", until=None)
    window = Obstacle(what="window", reason="the window mon is closed", stops="events", until=0.0)
    age = Obstacle(what="min_age", reason="young", stops="events", until=1_000_000_000.0)
    told = rows(planned(in_the_way=[lock, window, age]))
    assert told[1:3] == [
        "in the way web is locked by ann: moving",
        "in the way the window mon is closed (stops events, not a deploy by hand)",
    ]
    assert told[3].startswith("in the way young until 2001-09-")


def test_nothing_to_do_is_all_that_is_told_then() -> None:
    assert rows(planned(already="web runs it already"))[1:] == ["to do nothing: web runs it already"]


def test_changes_are_told_with_both_values_in_units_that_people_read() -> None:
    changes = [
        Change(path="Labels.nodewise.rollout", old=None, new="(the rollout's id)"),
        Change(path="TaskTemplate.Placement.Platforms", old=[], new=[{"Architecture": "amd64", "OS": "linux"}]),
        Change(path="UpdateConfig.Delay", old=0, new=6_500_000_000),
    ]
    assert rows(planned(changes=changes), ascii_only=True)[-3:] == [
        "change Labels.nodewise.rollout (none) -> (the rollout's id)",
        "change TaskTemplate.Placement.Platforms (none) -> amd64/linux",
        "change UpdateConfig.Delay 0 s -> 6.5 s",
    ]


def test_the_other_services_of_an_app_are_told_with_their_place_and_what_would_stop_them() -> None:
    common = {"already": "", "in_the_way": [], "refused": "", "from_image": FROM, "to_image": TO, "nodes": ["node1"]}
    worker = PlannedMember(**common | {"service": "worker", "stage": 0})
    cron = PlannedMember(**common | {"service": "cron", "stage": 2, "refused": "roll back twice"})
    told = rows(planned(strategy="cells", app="shop", stage=1, others=[worker, cron]))
    assert told[2:5] == [
        "app shop: web is in stage 2",
        "also stage 1 worker 1 (aaaaaaaaaaaa) → 2 (bbbbbbbbbbbb) on node1",
        "also stage 3 cron refused: roll back twice",
    ]


def test_a_name_from_outside_is_not_taken_for_markup() -> None:
    assert "[red]x" in "\n".join(rows(planned(notes=["[red]x\x1b[2J"])))
