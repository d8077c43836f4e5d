"""Which nodes a service may run on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise.domain.placement import eligible
from nodewise.domain.swarm import NodeView

ONE = NodeView("id1", "alpha", "ready", "active", "10.0.0.1", "manager", {"Zone": "a", "disk": "ssd"})
TWO = NodeView("id2", "beta", "ready", "active", "10.0.0.2", "worker", {"Zone": "b"})
BARE = NodeView("id3", "gamma", "ready", "active", "10.0.0.3")
ALL = (ONE, TWO, BARE)


def wanting(*constraints):
    return {"Name": "web", "TaskTemplate": {"Placement": {"Constraints": list(constraints)}}}


def names(*constraints, nodes=ALL):
    return [n.name for n in eligible(wanting(*constraints), nodes)]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("node.id == id2", ["beta"]),
        ("node.id!=id2", ["alpha", "gamma"]),
        ("node.hostname==ALPHA", ["alpha"]),
        ("NODE.ROLE == Manager", ["alpha"]),
        ("node.role != manager", ["beta", "gamma"]),
        ("node.labels.Zone==A", ["alpha"]),
        ("node.labels.zone==a", []),
        ("node.labels.disk!=ssd", ["beta", "gamma"]),
        ("node.platform.os==plan9", ["alpha", "beta", "gamma"]),
        ("engine.labels.gpu==yes", ["alpha", "beta", "gamma"]),
        ("node.ip==10.0.0.9", ["alpha", "beta", "gamma"]),
    ],
)
def test_a_constraint_holds_as_swarm_says(constraint, expected):
    assert names(constraint) == expected


def test_all_constraints_have_to_hold():
    assert names("node.role==worker", "node.labels.Zone==b") == ["beta"]
    assert names("node.role==manager", "node.labels.Zone==b") == []


def test_without_constraints_every_node_is_eligible():
    assert eligible({"Name": "web"}, ALL) == list(ALL)
    assert eligible({"TaskTemplate": {"Placement": {"Constraints": None}}}, ALL) == list(ALL)


@pytest.mark.parametrize(
    "change", [{"state": "down"}, {"state": "unknown"}, {"availability": "drain"}, {"availability": "pause"}]
)
def test_a_node_that_takes_no_tasks_is_not_eligible(change):
    assert names(nodes=(replace(ONE, **change), TWO)) == ["beta"]
