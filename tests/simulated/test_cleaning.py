"""Cleaning on the simulated swarm: what goes and what stays, a rollback afterwards, and troubles on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodewise.domain.build import Build, BuildState
from nodewise.domain.cleaning import LONGEST, SCRIPT
from nodewise.domain.errors import GiveUp, NotFound, RetryLater
from nodewise.domain.events import CodePushed
from nodewise.domain.images import ImageName
from nodewise.domain.retention import RELEASES
from nodewise.domain.rollout import Phase
from nodewise.testing import App
from tasks.clean import CLEAN
from tasks.sweep import CLEAN_EVERY
from tests.world import REGISTRY, World, world

CLEANER = f"{REGISTRY}/clean:1"
SAID = f"removed {REGISTRY}/web@sha256:{'1' * 64}"
COMMAND = ("sh", "-c", SCRIPT)
QUICK = {"Monitor": 0}


class Disk:
    """The part of a builder that the clean-up knows. ``away``: it does not answer."""

    def __init__(self) -> None:
        self.away = False
        self.free: int | None = None
        self.removed: list[str] = []

    def remove(self, name: ImageName) -> None:
        if self.away:
            raise RetryLater("the builder does not answer")
        self.removed.append(str(name))

    def space(self) -> int | None:
        return self.free


@contextmanager
def cleaned(folder: Path, keep: int | None = 1, **settings: Any) -> Iterator[World]:
    """A world in which the images of the build ``web`` are cleaned."""
    config = folder / "nodewise.yaml"
    build = {"git": "https://git.test/web.git", "image": f"{REGISTRY}/web:{{sha}}", **({"keep": keep} if keep else {})}
    config.write_text(yaml.safe_dump({"builds": {"web": build}}))
    with world(config=config, **settings) as w:
        w.deps = replace(w.deps, builders={"engine": Disk()})
        if w.deps.settings.cleans:
            w.deps.store.beat(CLEAN.verb, w.clock.now())  # the story begins right after a round
        w.swarm.push(CLEANER, App(pull=0.2))
        w.swarm.registry.command(COMMAND, App(pull=0.2, exits_after=0.5, log=(SAID, "and more")))
        yield w


def built(w: World, *tags: str, name: str = "web") -> list[str]:
    """Pushed builds, each of an image of its own; their names with digests."""
    made = []
    for tag in tags:
        image = w.image(tag)
        digest = w.swarm.push(image, App())
        add_build(w, tag, image, digest, name=name)
        made.append(f"{image}@{digest}")
        w.clock.advance(1)
    return made


def add_build(
    w: World, tag: str, image: str, digest: str, state: BuildState = BuildState.PUSHED, **fields: Any
) -> None:
    id_ = f"b-{int(w.clock.now())}-{tag}"
    build = Build(
        id_, "web", "x", f"refs/tags/{tag}", tag, image, state, w.clock.now(), builder="engine", digest=digest
    )
    event_id, _ = w.deps.store.add_event(CodePushed("x", build.ref, tag), "test", w.clock.now())
    w.deps.store.finish_event(event_id, id_, w.clock.now(), builds=[replace(build, **fields)])


def left(w: World, images: Sequence[str]) -> list[str]:
    """The tags of those that the registry still has."""
    found = []
    for image in images:
        name = ImageName.parse(image)
        try:
            w.swarm.registry.resolve(name.with_tag("").pinned(name.digest))
        except NotFound:
            continue
        found.append(name.tag)
    return found


def hour(w: World) -> None:
    """Until the next round has had its time; nothing else happens in between."""
    w.clock.advance(CLEAN_EVERY)
    w.wait(30)


def ask(w: World) -> None:
    w.deps.store.put_jobs([CLEAN], w.clock.now())


def disk(w: World) -> Any:
    return w.deps.builders["engine"]


def audit(w: World, subject: str) -> list[str]:
    return [a.detail for a in w.deps.store.audit(subject=subject, what="clean")]


# -- what goes and what stays ------------------------------------------------------------------------


def test_of_a_build_the_newest_images_stay_and_the_others_go_from_registry_and_engine(tmp_path):
    with cleaned(tmp_path, keep=2) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0", "1.3.0")
        w.wait(30)
        assert len(left(w, images)) == 4
        hour(w)
        assert left(w, images) == ["1.2.0", "1.3.0"]
        first = ImageName.parse(images[0])
        assert disk(w).removed[:2] == [str(first.with_tag("").pinned(first.digest)), str(first.with_tag("1.0.0"))]
        assert len(disk(w).removed) == 4
        assert len(audit(w, "web")) == 2
        assert [b.cleaned_at is None for b in w.deps.store.builds()] == [True, True, False, False]
        hour(w)
        assert len(disk(w).removed) == 4, "once"


def test_nothing_is_removed_unless_somebody_asked_for_it(tmp_path):
    with cleaned(tmp_path, keep=None) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0")
        w.service("web", images[0])
        hour(w)
        hour(w)
        assert left(w, images) == ["1.0.0", "1.1.0", "1.2.0"]
        assert not disk(w).removed
        assert w.deps.store.last_beat(CLEAN.verb) is None


def test_a_rollback_to_the_last_release_that_is_kept_works_after_cleaning(tmp_path):
    with cleaned(tmp_path) as w:
        tags = [f"1.{n}.0" for n in range(RELEASES + 3)]
        images = built(w, *tags)
        w.service("web", images[0], replicas=1, update=QUICK)
        for image in images[1:]:
            assert w.end(w.deploy(image)).phase is Phase.SUCCEEDED
        hour(w)
        assert left(w, images) == tags[2:], "the one that runs, and ten before it"
        for node in w.swarm.nodes():
            w.swarm.prune(node.name)
        assert w.end(w.rollback(to=3)).phase is Phase.SUCCEEDED
        assert w.running() == [tags[2]]
        hour(w)
        assert left(w, images) == tags[2:], "and those that were newer are still there"


def test_what_swarm_itself_would_go_back_to_stays(tmp_path):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0", "1.3.0")
        w.service("web", images[0], replicas=1)
        image = images[1]
        w.swarm.foreign_update("web", lambda spec: _with(spec, image))
        w.run(lambda: w.running() == ["1.1.0"], 60)
        hour(w)
        assert left(w, images) == ["1.0.0", "1.1.0", "1.3.0"]
        w.swarm.native_rollback("web")
        w.run(lambda: w.running() == ["1.0.0"], 60)


def _with(spec: dict[str, Any], image: str) -> dict[str, Any]:
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = image
    return spec


def test_a_rollout_under_way_keeps_both_its_ends(tmp_path):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")
        w.service("web", images[0], gate__approval="true")
        rollout = w.deploy(images[2])
        w.run(lambda: w.get(rollout).plan, 60)
        hour(w)
        assert not w.get(rollout).phase.terminal
        assert left(w, images) == ["1.0.0", "1.2.0", "1.4.0"]


def test_an_index_takes_the_images_of_its_platforms_along_and_one_that_stays_keeps_them(tmp_path):
    with cleaned(tmp_path) as w:
        shared, names, wholes = w.image("shared"), [], []
        w.swarm.push(shared, App(start=0.3))
        for tag in ("1.0.0", "1.1.0"):
            own = w.image(f"{tag}-linux-amd64")
            parts = {"linux/amd64": w.swarm.push(own, App()), "linux/arm64": ImageName.parse(w.pinned(shared)).digest}
            digest = w.swarm.registry.index(ImageName.parse(w.image(tag)), parts)
            add_build(w, tag, w.image(tag), digest, parts=parts)
            names += [f"{w.image(tag)}@{digest}", w.pinned(own)]
            wholes.append(f"{REGISTRY}/web:{tag}-linux-")
            w.clock.advance(1)
        hour(w)
        assert left(w, [*names, w.pinned(shared)]) == ["1.1.0", "1.1.0-linux-amd64", "shared"]
        own = ImageName.parse(names[1])
        assert disk(w).removed == [str(own.with_tag("").pinned(own.digest)), f"{wholes[0]}amd64", f"{wholes[0]}arm64"]
        w.service("web", names[2], replicas=1)


def test_a_tag_that_has_moved_on_stays_with_the_newer_image(tmp_path):
    with cleaned(tmp_path) as w:
        main = w.image("main")
        first, second = (w.swarm.push(main, App(start=start)) for start in (0.1, 0.2))
        add_build(w, "main", main, first)
        w.clock.advance(1)
        add_build(w, "main", main, second)
        hour(w)
        assert disk(w).removed == [f"{REGISTRY}/web@{first}"]
        assert w.swarm.registry.digest(ImageName.parse(main)) == second


def test_an_image_that_a_kept_build_has_as_well_is_never_removed(tmp_path):
    with cleaned(tmp_path) as w:
        (first,) = built(w, "1.0.0")
        built(w, "1.1.0")
        add_build(w, "again", w.image("again"), ImageName.parse(first).digest)
        hour(w)
        assert left(w, [first]) == ["1.0.0"]


def test_while_a_build_is_under_way_its_images_stay(tmp_path):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0")
        add_build(w, "1.3.0", w.image("1.3.0"), "", BuildState.BUILT)
        ask(w)
        w.perform(CLEAN)
        assert left(w, images) == ["1.0.0", "1.1.0", "1.2.0"]


# -- troubles ----------------------------------------------------------------------------------------


def test_a_registry_that_refuses_is_tried_once_an_hour_and_keeps_nothing_else_from_being_cleaned(tmp_path):
    with cleaned(tmp_path, clean_image=CLEANER) as w:
        images = built(w, "1.0.0", "1.1.0", "1.2.0")
        w.service("web", images[2])
        w.swarm.registry.keeps.add(REGISTRY)
        hour(w)
        assert left(w, images) == ["1.0.0", "1.1.0", "1.2.0"]
        assert audit(w, "web") == []
        assert audit(w, "nodes"), "nodes are cleaned all the same"
        w.swarm.registry.keeps.clear()
        hour(w)
        assert left(w, images) == ["1.2.0"]


@pytest.mark.parametrize("who", ["registry", "engine", "swarm"])
def test_who_is_away_is_asked_again_later(tmp_path, who):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0")
        part, switch = {
            "registry": (w.swarm.registry, "away"),
            "engine": (disk(w), "away"),
            "swarm": (w.swarm, "cut_off"),
        }[who]
        setattr(part, switch, True)
        ask(w)
        w.wait(60)
        assert all(b.cleaned_at is None for b in w.deps.store.builds())
        setattr(part, switch, False)
        if who == "swarm":
            assert len(left(w, images)) == 2, "who knows no services removes nothing"
        hour(w)
        assert left(w, images) == ["1.1.0"]


def test_a_worker_that_dies_after_a_removal_leaves_it_to_be_noted_by_the_next_one(tmp_path):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0")

        class Dies(Disk):
            def remove(self, name: ImageName) -> None:
                raise SystemExit

        dying = replace(w.deps, builders={"engine": Dies()})
        w.deps, living = dying, w.deps
        with pytest.raises(SystemExit):
            hour(w)
        assert left(w, images) == ["1.1.0"]
        w.deps = living
        w.wait(60)
        assert [b.cleaned_at is None for b in w.deps.store.builds()] == [True, False]
        assert len(audit(w, "web")) == 1


# -- nodes -------------------------------------------------------------------------------------------


def test_every_node_is_cleaned_and_no_job_is_left_behind(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        w.service("web")
        assert w.end(w.deploy(w.push("1.1.0"))).phase is Phase.SUCCEEDED
        ask(w)
        jobs = w.run(lambda: w.helpers() if len(w.helpers()) == 5 else None, 60)
        told = dict(e.split("=", 1) for e in jobs[0].spec["TaskTemplate"]["ContainerSpec"]["Env"])
        assert told["NODEWISE_REPOSITORIES"] == f"{REGISTRY}/web"
        running = ImageName.parse(w.swarm.service("web").image).digest
        assert running.partition(":")[2][:16] in told["NODEWISE_KEEP"].split()
        w.run(lambda: not w.helpers(), 60)
        (detail,) = audit(w, "nodes")
        assert detail.count(f"1 of {REGISTRY}/web") == 5
        hour(w)
        assert w.helpers() == []


def test_a_node_that_is_down_does_not_hold_it_up(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        built(w, "1.0.0")
        w.swarm.node_down("node4")
        w.swarm.drain("node5")
        ask(w)
        w.run(lambda: audit(w, "nodes"), 60)
        assert audit(w, "nodes")[0].count("node") == 3
        assert w.helpers() == []


def test_a_job_that_hangs_is_taken_away_after_its_time(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        built(w, "1.0.0")
        w.swarm.registry.command(COMMAND, App(exits_after=1e9))
        ask(w)
        w.run(w.helpers, 60)
        w.run(lambda: not w.helpers(), LONGEST + 60)
        assert audit(w, "nodes") == []


def test_what_a_killed_worker_left_is_found_and_removed(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        built(w, "1.0.0")
        ask(w)
        w.run(w.helpers, 60)
        w.clock.advance(2 * CLEAN_EVERY)  # nobody works meanwhile
        assert w.helpers()
        w.run(lambda: not w.helpers(), 60)


def test_jobs_go_when_nobody_wants_them_any_more(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        built(w, "1.0.0")
        w.swarm.registry.command(COMMAND, App(exits_after=1e9))
        ask(w)
        w.run(w.helpers, 60)
        w.deps = replace(w.deps, settings=w.deps.settings.model_copy(update={"clean_image": ""}))
        w.run(lambda: not w.helpers(), 30)


def test_a_rollout_that_begins_meanwhile_ends_the_round(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        w.service("web")
        w.end(w.deploy(w.push("1.1.0")))
        w.swarm.registry.command(COMMAND, App(exits_after=1e9))
        ask(w)
        w.run(w.helpers, 60)
        w.deploy(w.push("0.9.0"))
        w.run(lambda: not w.helpers(), 20)
        assert w.end(w.latest()).phase is Phase.SUCCEEDED


def test_a_swarm_that_takes_no_such_job_is_told_of_and_left_as_it_was(tmp_path):
    with cleaned(tmp_path, keep=None, clean_image=CLEANER) as w:
        built(w, "1.0.0")

        class Refusing:
            def __getattr__(self, name: str) -> Any:
                return getattr(w.swarm, name)

            def create_service(self, spec: Any, image: Any = None) -> str:
                if spec["Name"].startswith("nodewise-clean-node3"):
                    raise GiveUp("the engine refuses the service")
                return w.swarm.create_service(spec, image)

        w.deps = replace(w.deps, engine=Refusing())
        ask(w)
        w.wait(10)
        assert w.helpers() == []
        assert w.deps.store.waiting(CLEAN.verb, w.clock.now() + 1e6) == 0
