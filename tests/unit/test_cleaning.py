"""The jobs that clean nodes: what they are told, what their script does with it, and when a round is over."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nodewise.domain.chores import AT_ONCE
from nodewise.domain.cleaning import (
    LONGEST,
    MOST,
    SCRIPT,
    CleanJob,
    Order,
    clean_jobs,
    job_spec,
    next_step,
    order,
    removed,
    told,
)
from nodewise.domain.retention import Needed
from nodewise.domain.swarm import NodeView, ServiceView, TaskView
from tests.integration.gate_parts import need
from tests.unit.swarm_values import NODES

NOW = 1_800_000_000.0
ONE, TWO, THREE = (f"sha256:{c * 64}" for c in "123")
ORDER = order(
    "docker:cli", "/run/docker.sock", ["reg.test/shop", "docker.io/library/web"], Needed(frozenset({ONE}), frozenset())
)
NODE1 = NODES["n1"]

# Prints a list like ``docker image ls``, removes what is not in use, and says so in a file.
DOCKER = """\
#!/bin/sh
case "$1 $2" in
"image ls") cat "$WORLD/images" ;;
"image rm") [ "$#" = 3 ] || exit 1; grep -qxF "$3" "$WORLD/used" && exit 1; echo "$3" >>"$WORLD/removed" ;;
"version --format") [ ! -e "$WORLD/away" ] ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A folder that stands for an engine, with a client that acts on it."""
    client = tmp_path / "bin" / "docker"
    client.parent.mkdir()
    client.write_text(DOCKER)
    client.chmod(0o755)
    (tmp_path / "used").write_text("")
    return tmp_path


def script(engine: Path, *images: str, until: float = 4e9, keep: Order = ORDER) -> subprocess.CompletedProcess[str]:
    (engine / "images").write_text("".join(f"{line}\n" for line in images))
    env = {**keep.variables, "NODEWISE_UNTIL": str(int(until)), "WORLD": str(engine)}
    env["PATH"] = f"{engine / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=30)


def gone(engine: Path) -> list[str]:
    file = engine / "removed"
    return file.read_text().split() if file.exists() else []


# -- the script ------------------------------------------------------------------------------------


def test_images_on_record_that_nobody_needs_go_and_are_named(engine: Path):
    done = script(engine, f"reg.test/shop <none> {ONE}", f"reg.test/shop <none> {TWO}", f"web <none> {THREE}")
    assert gone(engine) == removed(done.stdout) == [f"reg.test/shop@{TWO}", f"web@{THREE}"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        f"reg.test/other <none> {TWO}",
        f"reg.test/shop 1.0.0 {TWO}",
        "reg.test/shop <none> <none>",
        f"<none> <none> {TWO}",
        "reg.test/shop <none> sha256:*",
        f"* <none> {TWO}",
        f"$(touch${{IFS}}removed) <none> {TWO}",
        f"reg.test/shop <none> sha256:{'1' * 16}{'9' * 48}",
    ],
    ids=["foreign", "tagged", "no digest", "no name", "a pattern", "a pattern for a name", "a command", "begins alike"],
)
def test_everything_else_stays(engine: Path, line):
    assert script(engine, line).returncode == 0
    assert gone(engine) == []


def test_what_is_in_use_stays_and_stops_nobody(engine: Path):
    (engine / "used").write_text(f"reg.test/shop@{TWO}\n")
    done = script(engine, f"reg.test/shop <none> {TWO}", f"reg.test/shop <none> {THREE}")
    assert gone(engine) == removed(done.stdout) == [f"reg.test/shop@{THREE}"]


def test_nothing_is_removed_after_its_time(engine: Path):
    assert script(engine, f"reg.test/shop <none> {TWO}", until=1).returncode == 0
    assert gone(engine) == []


def test_an_engine_that_does_not_answer_is_a_failure(engine: Path):
    (engine / "away").touch()
    assert script(engine).returncode != 0


def test_many_images_are_told_apart(engine: Path):
    many = frozenset(f"sha256:{n:016x}{'0' * 48}" for n in range(5000))
    told_much = order("i", "/s", ["reg.test/shop"], Needed(many, frozenset()))
    assert not told_much.too_long
    lines = [f"reg.test/shop <none> sha256:{n:016x}{'0' * 48}" for n in (0, 4999, 5000)]
    script(engine, *lines, keep=told_much)
    assert gone(engine) == [f"reg.test/shop@sha256:{5000:016x}{'0' * 48}"]


def test_the_script_needs_no_more_than_busybox_has(engine: Path):
    need("busybox")
    (engine / "images").write_text(f"reg.test/shop <none> {TWO}\n")
    env = {
        **ORDER.variables,
        "NODEWISE_UNTIL": "4000000000",
        "WORLD": str(engine),
        "PATH": f"{engine / 'bin'}:/bin:/usr/bin",
    }
    subprocess.run(["busybox", "sh", "-c", SCRIPT], env=env, check=True, timeout=30)
    assert gone(engine) == [f"reg.test/shop@{TWO}"]


# -- what it is told -------------------------------------------------------------------------------


def test_names_are_variables_and_no_part_of_the_script():
    container = job_spec(ORDER, NODE1, NOW)["TaskTemplate"]["ContainerSpec"]
    assert container["Command"] == ["sh", "-c", SCRIPT]
    assert f"NODEWISE_UNTIL={int(NOW) + LONGEST}" in container["Env"]
    assert "NODEWISE_REPOSITORIES=reg.test/shop web" in container["Env"], "as engines list them"
    assert container["Mounts"] == [{"Type": "bind", "Source": "/run/docker.sock", "Target": "/var/run/docker.sock"}]
    assert "force" not in SCRIPT
    assert " -f" not in SCRIPT


def test_of_a_repository_that_somebody_names_without_a_digest_nothing_is_removed():
    loose = order("i", "/s", ["reg.test/shop", "reg.test/web"], Needed(frozenset(), frozenset({"reg.test/web"})))
    assert loose.repositories == {"reg.test/shop"}


def test_more_than_fits_into_a_variable_is_not_told():
    many = frozenset(f"sha256:{n:016x}" for n in range(MOST // 17 + 1))
    assert order("i", "/s", ["reg.test/shop"], Needed(many, frozenset())).too_long


# -- a round ---------------------------------------------------------------------------------------


def job(node: NodeView, state: str = "", told_by: Order = ORDER, at: float = NOW) -> CleanJob:
    spec = job_spec(told_by, node, at)
    service = ServiceView(f"job-{node.id}", spec["Name"], 1, spec)
    task = TaskView(f"task-{node.id}", service.id, node.id, 0, state, "complete", "i", True)
    return next(iter(clean_jobs([service], [task] if state else [])))


def test_every_node_gets_a_job_and_the_round_is_over_when_all_have_ended():
    first = next_step(ORDER, [], NODES.values(), NOW)
    assert [s["Labels"]["nodewise.helper"] for s in first.make] == ["clean.n1", "clean.n2", "clean.n3"]
    assert not first.over
    running = [job(NODES["n1"], "complete"), job(NODES["n2"], "running"), job(NODES["n3"], "rejected")]
    assert next_step(ORDER, running, NODES.values(), NOW).over is False
    assert next_step(ORDER, [running[0], job(NODES["n2"], "failed"), running[2]], NODES.values(), NOW).over


def test_nodes_that_are_down_hold_nobody_up():
    nodes = {**NODES, "n2": replace(NODES["n2"], state="down"), "n3": replace(NODES["n3"], availability="drain")}
    assert [s["Labels"]["nodewise.helper"] for s in next_step(ORDER, [], nodes.values(), NOW).make] == ["clean.n1"]
    begun = [job(NODES["n1"], "complete"), job(NODES["n2"], "running")]
    assert next_step(ORDER, begun, nodes.values(), NOW).over


def test_a_job_that_does_not_end_is_waited_for_no_longer_than_its_time():
    begun = [job(node) for node in NODES.values()]
    assert not next_step(ORDER, begun, NODES.values(), NOW + LONGEST - 1).over
    assert next_step(ORDER, begun, NODES.values(), NOW + LONGEST).over


def test_no_more_than_a_few_nodes_are_cleaned_at_a_time():
    nodes = [replace(NODE1, id=f"n{n}", name=f"node{n}") for n in range(25)]
    assert len(next_step(ORDER, [], nodes, NOW).make) == AT_ONCE
    begun = [job(node, "complete" if n < 4 else "running") for n, node in enumerate(nodes[:AT_ONCE])]
    assert len(next_step(ORDER, begun, nodes, NOW).make) == 4


@pytest.mark.parametrize(
    "now",
    [replace(ORDER, keep=ORDER.keep | {"2" * 16}), replace(ORDER, repositories=frozenset({"web"}))],
    ids=["an image", "a repository"],
)
def test_what_becomes_needed_while_a_job_runs_ends_the_round(now):
    running = [job(node, "running" if node is NODE1 else "complete") for node in NODES.values()]
    assert next_step(now, running, NODES.values(), NOW).over
    ended = [job(node, "complete") for node in NODES.values()][:2]
    assert not next_step(now, ended, NODES.values(), NOW).over, "what has ended removes nothing more"


def test_what_is_needed_no_longer_disturbs_no_job():
    running = [job(node, "running") for node in NODES.values()]
    assert not next_step(replace(ORDER, keep=frozenset()), running, NODES.values(), NOW).over


def test_helpers_of_rollouts_are_none_of_these_jobs():
    spec = job_spec(ORDER, NODE1, NOW)
    spec["Labels"]["nodewise.helper"] = "prepull.n1"
    assert clean_jobs([ServiceView("x", "x", 1, spec)]) == []


def test_what_was_removed_is_told_by_node_and_repository():
    assert (
        told({"w1": [f"a@{ONE}", f"a@{TWO}", f"b@{ONE}"], "w2": [], "m1": [f"b@{ONE}"]})
        == "m1: 1 of b; w1: 2 of a, 1 of b"
    )
    assert told({"w1": []}) == ""
