"""Whom a change concerns, and how long until the next look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.swarm import HELPER_LABEL, ROLLOUT_LABEL, ServiceView
from nodewise.domain.watching import (
    IDLE,
    LONGEST,
    QUICK,
    SHARE,
    Going,
    Heard,
    changed,
    helpers_of,
    let_go,
    pictures,
    told,
    until_next,
)
from tests.unit.swarm_values import spec, task

ONE, TWO = Going("r-1", "s1"), Going("r-2", "s2", helpers=True)
BOTH = [ONE, TWO]
HELPERS = {"r-2": ["h1"]}
TASKS = [task(1), task(2), task(1, id="other", service_id="s2"), task(1, id="of-helper", service_id="h1")]


def woken(tasks, helpers=HELPERS, going=BOTH):
    return list(changed(pictures(BOTH, HELPERS, TASKS), pictures(going, helpers, tasks)).wake)


# -- pictures --------------------------------------------------------------------------------------------


def test_nobody_is_woken_while_nothing_changes_in_whatever_order_it_comes():
    assert woken(TASKS) == []
    assert woken(TASKS[::-1]) == []


@pytest.mark.parametrize("change", [{"state": "failed"}, {"desired": "shutdown"}, {"node_id": "n9"}, {"id": "t9"}])
def test_a_change_of_a_task_wakes_its_own_rollout_only(change: dict):
    assert woken([replace(TASKS[0], **change), *TASKS[1:]]) == ["r-1"]


@pytest.mark.parametrize("change", [{"error": "no suitable node"}, {"at": "2026-01-01T00:00:00Z"}, {"address": "10.1"}])
def test_what_is_not_in_the_picture_wakes_nobody(change: dict):
    assert woken([replace(TASKS[0], **change), *TASKS[1:]]) == []


def test_how_far_a_task_is_on_its_way_wakes_nobody_until_it_runs():
    waits = replace(TASKS[0], state="ready", desired="ready")
    before = pictures(BOTH, HELPERS, [waits, *TASKS[1:]])
    for state, desired in (("preparing", "ready"), ("ready", "running"), ("starting", "running")):
        assert pictures(BOTH, HELPERS, [replace(waits, state=state, desired=desired), *TASKS[1:]]) == before
    assert pictures(BOTH, HELPERS, [replace(waits, state="running", desired="running"), *TASKS[1:]]) != before


def test_a_task_that_comes_or_goes_wakes_its_rollout():
    assert woken(TASKS[1:]) == ["r-1"]
    assert woken([*TASKS, task(3)]) == ["r-1"]


def test_a_helpers_task_belongs_to_the_picture_of_the_rollout_that_made_it():
    assert woken([*TASKS[:3], replace(TASKS[3], state="complete")]) == ["r-2"]


def test_a_helper_that_comes_or_goes_wakes_its_rollout_even_without_a_task():
    assert changed(pictures(BOTH, {}, []), pictures(BOTH, HELPERS, [])).wake == ("r-2",)
    assert changed(pictures(BOTH, HELPERS, []), pictures(BOTH, {}, [])).wake == ("r-2",)


def test_tasks_of_services_that_are_nobodys_are_left_out():
    assert woken([*TASKS, task(1, id="x", service_id="s3")]) == []


def test_a_rollout_seen_for_the_first_time_is_woken_and_one_that_has_ended_is_not():
    new = Going("r-3", "s3")
    assert woken(TASKS, going=[*BOTH, new]) == ["r-3"]
    assert woken(TASKS, going=[TWO]) == []
    assert changed({}, pictures(BOTH, HELPERS, TASKS)).wake == ("r-1", "r-2")


def test_a_task_without_a_node_is_left_for_the_next_poll_so_that_its_coming_and_its_node_are_one_look():
    first = pictures(BOTH, HELPERS, TASKS)
    placeless = replace(TASKS[0], id="new", state="pending", node_id="")
    second = changed(first, pictures(BOTH, HELPERS, [placeless, *TASKS[1:]]))
    assert (second.wake, second.left) == ((), {"r-1"})
    placed = pictures(BOTH, HELPERS, [replace(placeless, state="assigned", node_id="n2"), *TASKS[1:]])
    third = changed(second.pictures, placed, second.left)
    assert (third.wake, third.left) == (("r-1",), frozenset())
    assert changed(third.pictures, placed, third.left).wake == ()


def test_a_task_that_gets_no_node_wakes_its_rollout_with_the_next_poll_and_what_changes_meanwhile_is_not_lost():
    first = pictures(BOTH, HELPERS, TASKS)
    placeless = replace(TASKS[0], id="new", state="pending", node_id="")
    later = pictures(BOTH, HELPERS, [placeless, *TASKS[1:]])
    second = changed(first, later)
    assert changed(second.pictures, later, second.left).wake == ("r-1",)
    assert changed(second.pictures, first, second.left).wake == (), "as if nothing had been"


def test_the_services_of_rollouts_that_have_ended_are_let_go():
    assert let_go(BOTH, [TWO]) == {"s1"}
    assert let_go([], BOTH) == set()


def test_helpers_are_sorted_by_the_rollout_that_made_them():
    def service(id_, **labels):
        return ServiceView(id_, id_, 1, spec("sha256:1") | {"Labels": labels})

    marks = {ROLLOUT_LABEL: "r-2", HELPER_LABEL: "before"}
    found = [service("h1", **marks), service("h2", **marks), service("s2", **{ROLLOUT_LABEL: "r-1"})]
    assert helpers_of(found) == {"r-2": ["h1", "h2"]}


# -- events ----------------------------------------------------------------------------------------------


def event(type_, action="update", id_="s1", **attributes):
    new = {key.replace("_", "."): value for key, value in attributes.items()}
    return {"Type": type_, "Action": action, "Actor": {"ID": id_, "Attributes": {"name": "web", **new}}}


@pytest.mark.parametrize("action", ["create", "update", "remove"])
def test_an_event_of_a_service_wakes_the_rollouts_of_that_service(action: str):
    assert told(event("service", action)).wakes(BOTH) == ["r-1"]


def test_an_event_of_a_service_that_is_nobodys_wakes_nobody():
    heard = told(event("service", id_="s9"))
    assert heard.wakes(BOTH) == []
    assert heard.services == {"s9"}


@pytest.mark.parametrize(
    ("node", "everybody"),
    [
        (event("node", state_old="ready", state_new="down"), True),
        (event("node", availability_old="active", availability_new="drain"), True),
        (event("node", "remove"), True),
        (event("node"), False),
        (event("node", leader_new="true"), False),
    ],
    ids=["down", "drained", "removed", "nothing new", "a new leader"],
)
def test_a_node_that_comes_or_goes_wakes_everybody(node: dict, everybody: bool):
    assert told(node).wakes(BOTH) == (["r-1", "r-2"] if everybody else [])


@pytest.mark.parametrize(
    "odd", [{}, {"Type": "service"}, {"Type": "service", "Actor": {}}, {"Type": "service", "Actor": "s1"},
            {"Type": "node", "Action": "update", "Actor": {"Attributes": None}}, event("secret"), event("container")],
)  # fmt: skip
def test_an_event_that_says_nothing_wakes_nobody(odd: dict):
    assert told(odd) == Heard()


def test_one_who_has_only_just_begun_to_listen_wakes_everybody():
    heard = Heard(frozenset({"s1"})) | Heard(anew=True) | Heard(frozenset({"s2"}))
    assert heard.wakes(BOTH) == ["r-1", "r-2"]
    assert heard.services == {"s1", "s2"}


# -- pace ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", [0.0, 0.001, 0.02])
def test_a_quick_poll_is_made_every_quarter_of_a_second(cost: float):
    assert until_next(cost, busy=True) == QUICK


@pytest.mark.parametrize("cost", [0.03, 0.1, 0.5])
def test_polling_takes_a_tenth_of_the_time_at_most(cost: float):
    assert cost / (cost + until_next(cost, busy=True)) == pytest.approx(SHARE)


def test_a_very_slow_poll_is_made_as_often_as_rollouts_look_by_themselves():
    assert until_next(60.0, busy=True) == LONGEST


def test_polls_are_rare_while_nothing_goes_on():
    assert until_next(0.0, busy=False) == IDLE
