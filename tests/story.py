"""The demonstration's story, asserted step by step: five releases, and what becomes of them.

It is played on a stage: the real swarm (``tests/demo.py``) or the simulated one (``tests/simulated/demo.py``). What
it prints it has seen; it knows neither of the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from tests.telling import Row, Teller

T = TypeVar("T")
NODES = 5
FIRST = "1.0.0"


class Load(Protocol):
    """Requests to every node, all the time. ``failed``: those of ``asked`` without a good answer."""

    asked: int
    failed: int


class Stage(Protocol):
    """Where the story is played. Paths are below /api/v1; ``now`` and all times are in seconds."""

    image: str  # the repository that is followed, without a tag
    port: int  # where the service answers on every node
    by_git: str
    by_push: str
    by_api: str

    def now(self) -> float: ...

    def wait(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        """What *look* gives once it gives something. AssertionError naming *what* after *seconds*."""

    def get(self, path: str, **query: Any) -> dict[str, Any]: ...

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]: ...

    def git_push(self, version: str, health: str) -> str:
        """Commit the app as *version*, whose health address answers *health*, and push its tag. What git says."""

    def build(self, version: str) -> None:
        """An image of the app, somewhere outside of Nodewise."""

    def push(self, version: str) -> None:
        """Push it to the registry."""

    def create_service(self, name: str, image: str, gate: Mapping[str, str]) -> str:
        """A global service that follows semver:^1, with an HTTP gate as given. Its name, once it runs."""

    def load(self) -> AbstractContextManager[Load]: ...

    def everywhere(self, version: str) -> None:
        """AssertionError unless every node answers, with that version, and the swarm wants no other task."""

    def first_task(self, version: str, since: float) -> float:
        """When the first task of *version* was made after *since*. AssertionError when there is none."""


class Story:
    """The main job, told by *teller*; what was shown is in ``rows``."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self.stage = stage
        self.say = teller.say
        self.service = ""
        self.rows: list[Row] = []
        self._told: dict[str, dict[str, str]] = {}  # of each rollout: its phase, and how far each node is
        self._passed: dict[str, dict[str, float]] = {}  # and when each node was first seen to have passed

    def run(self) -> None:
        self.first_version()
        self.second_version_under_load()
        self.third_version_is_broken()
        self.fourth_version_by_push()
        self.a_tag_that_does_not_match()
        self.rollback_through_the_api()

    # -- steps -------------------------------------------------------------------------------------

    def first_version(self) -> None:
        self.say(f"[bold]v1[/]: {self.stage.by_git} of the tag v{FIRST}")
        start = self.stage.now()
        self.git_release(FIRST)
        gate = {
            "url": f"http://{{node}}:{self.stage.port}/cgi-bin/health",
            "interval": "300ms",
            "timeout": "500ms",
        }
        self.service = self.stage.create_service("shop", f"{self.stage.image}:{FIRST}", gate)
        self.everywhere(FIRST)
        self.row("v1", f"{self.stage.by_git} + service create", f"runs on {NODES} of {NODES} nodes", start, FIRST)

    def second_version_under_load(self) -> None:
        self.say(f"[bold]v2[/]: {self.stage.by_git} of v1.1.0, while every node is asked 20 times a second")
        with self.stage.load() as load:
            start = self.stage.now()
            self.git_release("1.1.0")
            ended = self.follow("1.1.0")
        assert ended["phase"] == "succeeded", ended
        assert [s["state"] for s in ended["steps"]] == ["passed"] * NODES, ended
        passed = sorted(self._passed[ended["id"]].values())
        assert all(b > a for a, b in itertools.pairwise(passed)), "one node after the other"
        self.everywhere("1.1.0")
        self.row("v2", self.stage.by_git, "moved node by node", start, "1.1.0", load)

    def third_version_is_broken(self) -> None:
        self.say(f"[bold]v3[/]: {self.stage.by_git} of v1.2.0, whose health address answers 500")
        with self.stage.load() as load:
            start = self.stage.now()
            self.git_release("1.2.0", health="500")
            ended = self.follow("1.2.0")
        assert ended["phase"] == "rolled_back", ended
        assert "gate http failed" in ended["reason"], ended
        assert "serving version 1.2.0" in ended["evidence"], ended
        self.say(f"        it says why: [yellow]{ended['reason']}[/]")
        self.everywhere("1.1.0")
        self.row("v3", f"{self.stage.by_git}, broken", "rolled back by itself", start, "1.2.0", load)

    def fourth_version_by_push(self) -> None:
        self.say(f"[bold]v4[/]: {self.stage.by_push} of 1.3.0 alone; the service follows semver:^1")
        self.stage.build("1.3.0")
        with self.stage.load() as load:
            start = self.stage.now()
            self.stage.push("1.3.0")
            ended = self.follow("1.3.0")
        assert ended["phase"] == "succeeded", ended
        self.everywhere("1.3.0")
        self.row("v4", self.stage.by_push, "moved node by node", start, "1.3.0", load)

    def a_tag_that_does_not_match(self) -> None:
        self.say(f"{self.stage.by_push} of 2.0.0, which semver:^1 does not admit")
        start = self.stage.now()
        before = self.rollouts()
        self.stage.build("2.0.0")
        self.stage.push("2.0.0")
        outcome = self.stage.wait("the event's outcome", lambda: self.outcome_of("2.0.0"), 60)
        assert "left alone: tag 2.0.0 does not match semver:^1" in outcome, outcome
        assert self.rollouts() == before
        self.everywhere("1.3.0")
        self.rows.append(Row("2.0.0", self.stage.by_push, "left alone", None, self.stage.now() - start))

    def rollback_through_the_api(self) -> None:
        releases = self.stage.get(f"services/{self.service}/releases")["releases"]
        release = next(r for r in releases if ":1.1.0@" in r["image"])["number"]
        self.say(f"rollback to v2 (release {release}), enqueued by {self.stage.by_api}")
        with self.stage.load() as load:
            start = self.stage.now()
            answer = self.stage.post(f"services/{self.service}/rollback", {"to": release})
            ended = self.watch(answer["id"])
        assert ended["phase"] == "succeeded", ended
        self.everywhere("1.1.0")
        self.row("back to v2", self.stage.by_api, "moved node by node", start, "1.1.0", load)

    # -- seeing ------------------------------------------------------------------------------------

    def git_release(self, version: str, health: str = "200") -> None:
        """Push by git, and wait for the build that comes of it."""
        self.say("        git says: " + self.stage.git_push(version, health))
        build = self.stage.wait(f"the build of {version}", lambda: self.built(version), 60)
        assert build["state"] == "pushed", build
        self.say(f"        {build['id']} built and pushed {build['image']} ({build['digest'][7:19]})")

    def built(self, version: str) -> dict[str, Any] | None:
        image = f"{self.stage.image}:{version}"
        found = [b for b in self.stage.get("builds")["builds"] if b["image"] == image]
        return found[0] if found and found[0]["ended_at"] else None

    def follow(self, version: str) -> dict[str, Any]:
        """Watch the rollout to *version* until it has ended."""

        def begun() -> dict[str, Any] | None:
            found = self.stage.get("rollouts", service=self.service)["rollouts"]
            return next((r for r in found if f":{version}@" in r["image"] + "@"), None)

        return self.watch(self.stage.wait(f"a rollout to {version}", begun, 60)["id"])

    def watch(self, rollout_id: str) -> dict[str, Any]:
        """A line for each thing that happens, until the rollout has ended and its evidence is kept."""

        def look() -> dict[str, Any] | None:
            rollout = self.seen(rollout_id)
            return rollout if rollout["ended_at"] and (rollout["evidence"] or not rollout["failing_task"]) else None

        return self.stage.wait(f"{rollout_id} to end", look, 600)

    def seen(self, rollout_id: str) -> dict[str, Any]:
        """The rollout as it is now; what is new about it is told."""
        rollout, told = self.stage.get(f"rollouts/{rollout_id}"), self._told.setdefault(rollout_id, {})
        passed = self._passed.setdefault(rollout_id, {})
        for step in rollout["steps"]:
            if step["state"] != told.get(step["node"]) and step["state"] in ("passed", "failed"):
                again = " again" if step["node"] in passed else ""
                detail = f": {step['detail']}" if step["detail"] else ""
                self.say(f"        {step['node']} {step['state']}{again}{detail}")
            if step["state"] == "passed":
                passed.setdefault(step["node"], self.stage.now())
        if rollout["phase"] != told.get("") and rollout["phase"] != "pending":
            self.say(f"        {rollout_id} is {rollout['phase'].replace('_', ' ')}")
        told |= {"": rollout["phase"], **{s["node"]: s["state"] for s in rollout["steps"]}}
        return rollout

    def everywhere(self, version: str) -> None:
        self.stage.everywhere(version)
        self.say(f"        [green]every node answers with {version}[/]")

    def outcome_of(self, tag: str) -> str:
        """What came of the push of *tag*; empty while that is not known."""
        for delivery in self.stage.get("deliveries", limit=5)["deliveries"]:
            for event in self.stage.get(f"deliveries/{delivery['id']}")["events"]:
                if event["data"].get("tag") == tag:
                    return str(event["outcome"])
        return ""

    def rollouts(self) -> list[str]:
        return [r["id"] for r in self.stage.get("rollouts", limit=500)["rollouts"]]

    def row(self, what: str, how: str, result: str, start: float, version: str, load: Load | None = None) -> None:
        first, total = self.stage.first_task(version, start) - start, self.stage.now() - start
        asked, failed = (load.asked, load.failed) if load else (0, 0)
        self.rows.append(Row(what, how, result, first, total, asked, failed))
