"""What is needed, and what is to go: whatever the records are, nothing that is needed is ever named for removal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.images import ImageName
from nodewise.domain.release import ReleaseState
from nodewise.domain.retention import (
    RELEASES,
    Pushed,
    Records,
    Shipped,
    name_is_shared,
    needed,
    parts_to_go,
    repositories,
    to_go,
)
from nodewise.domain.rollout import Phase
from nodewise.domain.swarm import ServiceView
from tests.unit.swarm_values import rollout, spec

GOOD, NEW, BAD = ReleaseState.GOOD, ReleaseState.NEW, ReleaseState.BAD


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def image(number: int, path: str = "shop") -> str:
    return f"reg.test/{path}:{number}@{digest(number)}"


def of_image(text: str) -> dict[str, Any]:
    made = spec(digest(0))
    made["TaskTemplate"]["ContainerSpec"]["Image"] = text
    return made


def service(text: str, previous: str = "", name: str = "web") -> ServiceView:
    return ServiceView(f"id-{name}", name, 1, {**of_image(text), "Name": name}, "", "", of_image(previous))


def build(number: int, name: str = "shop", path: str = "shop", made: int | None = None) -> Pushed:
    return Pushed(f"b-{number:03}", name, f"reg.test/{path}:{number}", digest(number if made is None else made), "e1")


def builds(count: int, **changes: Any) -> list[Pushed]:
    """Newest first."""
    return [build(number, **changes) for number in range(count, 0, -1)]


def going(records: Records) -> list[str]:
    return [p.id for p in to_go(records)]


def release(number: int, state: ReleaseState = GOOD, **changes: Any) -> Shipped:
    return replace(Shipped("web", number, image(number), state), **changes)


# -- what stays ------------------------------------------------------------------------------------


def test_of_each_build_the_newest_images_stay_and_the_others_go_oldest_first():
    records = Records(pushed=builds(5), keep={"shop": 3})
    assert going(records) == ["b-001", "b-002"]


def test_one_image_that_several_builds_made_counts_once():
    pushed = [build(3), build(2, made=3), build(1)]
    assert going(Records(pushed=pushed, keep={"shop": 2})) == []
    assert going(Records(pushed=pushed, keep={"shop": 1})) == ["b-001"]


def test_nothing_goes_of_a_build_that_nobody_has_limited_and_what_it_made_stays_under_other_names_too():
    pushed = [build(3), build(2), build(1), build(0, name="other", made=1)]
    assert going(Records(pushed=pushed)) == []
    assert going(Records(pushed=pushed, keep={"shop": 1})) == ["b-002"]


def test_a_build_that_is_under_way_may_come_to_the_same_image_so_that_none_of_its_goes():
    assert going(Records(pushed=builds(5), keep={"shop": 1}, building={"shop"})) == []
    assert going(Records(pushed=builds(5), keep={"shop": 1}, building={"other"})) != []


def test_what_services_run_and_what_swarm_would_take_them_back_to_stays():
    records = Records(pushed=builds(9), keep={"shop": 1}, services=[service(image(2), image(4))])
    assert going(records) == ["b-001", "b-003", "b-005", "b-006", "b-007", "b-008"]


def test_an_image_stays_under_every_name_when_it_is_needed_under_one():
    records = Records(pushed=builds(3), keep={"shop": 1}, services=[service(image(1, "mirrored/elsewhere"))])
    assert going(records) == ["b-002"]


def test_the_newest_releases_stay_and_so_do_those_before_the_one_that_runs():
    shipped = [release(n) for n in range(1, 41)]
    left = going(Records(shipped=shipped, pushed=builds(40), keep={"shop": 1}, services=[service(image(20))]))
    stays = {*range(31, 41), 20, *range(10, 20)}
    assert left == [f"b-{n:03}" for n in range(1, 41) if n not in stays]


@pytest.mark.parametrize("state", [GOOD, BAD])
def test_of_several_releases_with_the_image_that_runs_any_may_be_the_present_one(state):
    shipped = [release(n) for n in range(1, 41)]
    shipped[34] = release(35, state, image=image(12))  # came back under a new number, and was taken back once more
    records = Records(shipped=shipped, pushed=builds(40), keep={"shop": 1}, services=[service(image(12))])
    left = {int(name[2:]) for name in going(records)}
    assert not left & {*range(2, 12), *range(25, 35)}


def test_a_rollback_that_follows_one_on_its_way_counts_down_from_where_that_one_goes():
    shipped = [release(n) for n in range(1, 41)]
    records = Records(shipped=shipped, pushed=builds(40), keep={"shop": 1}, services=[service(image(40))])
    moving = replace(records, rollouts=[rollout(to_number=20, plan=None)])
    assert set(going(records)) - set(going(moving)) == {f"b-{n:03}" for n in range(10, 21)}


def test_releases_that_were_taken_back_do_not_count_and_unproven_ones_take_no_good_ones_place():
    states = {1: GOOD, **dict.fromkeys(range(2, 14), BAD), **dict.fromkeys(range(14, 30), NEW)}
    shipped = [release(n, states[n]) for n in states]
    left = going(Records(shipped=shipped, pushed=builds(29), keep={"shop": 1}, services=[service(image(29))]))
    assert "b-001" not in left
    assert {f"b-{n:03}" for n in range(2, 14)} < set(left)


@pytest.mark.parametrize(
    "change",
    [
        {"image": image(1), "plan": None},
        {"requested": 1, "plan": None},
        {"from_number": 1, "plan": None},
        {"to_number": 1, "plan": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_rollout_comes_from_or_goes_to_stays(change):
    shipped = [release(n) for n in range(1, 41)]
    records = Records(shipped=shipped, pushed=builds(40), keep={"shop": 1})
    moving = replace(records, rollouts=[rollout(Phase.PENDING, **change)])
    assert "b-001" in going(records)
    assert "b-001" not in going(moving)


def test_a_plan_keeps_both_its_ends():
    moving = rollout(Phase.MOVING)
    moving = replace(moving, plan=replace(moving.plan, base=of_image(image(1)), target=of_image(image(2))))
    assert going(Records(rollouts=[moving], pushed=builds(4), keep={"shop": 1})) == ["b-003"]


def test_a_name_without_a_digest_may_be_any_image_of_its_repository():
    records = Records(pushed=[*builds(3), *builds(3, name="b", path="b")], keep={"shop": 1, "b": 1})
    loose = replace(records, services=[service("reg.test/shop:latest")])
    assert going(loose) == ["b-001", "b-002"]
    assert {p.name for p in to_go(loose)} == {"b"}
    assert needed(loose).repositories == {"reg.test/shop"}


@pytest.mark.parametrize("odd", ["", "UPPER CASE", "reg.test/a:b:c"])
def test_what_is_no_image_name_keeps_nothing_and_stops_nothing(odd):
    assert going(Records(pushed=builds(2), keep={"shop": 1}, services=[service(odd)])) == ["b-001"]
    assert needed(Records(services=[service(f"no name@{digest(7)}")])).digests == {digest(7)}


# -- names -----------------------------------------------------------------------------------------


def test_a_tag_that_has_moved_on_is_the_newer_images():
    moving = [replace(build(n), image="reg.test/shop:main") for n in (2, 1)]
    assert name_is_shared(moving[1], Records(pushed=moving))
    assert not name_is_shared(build(1), Records(pushed=builds(2)))
    assert name_is_shared(build(1), Records(pushed=builds(2), building={"shop"}))


def test_only_repositories_on_record_are_cleaned():
    records = Records(shipped=[release(1)], pushed=builds(1, path="made"), services=[service(image(1, "foreign"))])
    assert repositories(records) == {"reg.test/shop", "reg.test/made"}


# -- whatever the records are ----------------------------------------------------------------------

# Everything that a service or a release may name was built, and little is kept: what is not said to be needed goes.
MANY = 45
PATHS = ("a", "b/c")
NAMES = st.sampled_from(["shop", "other", "third"])
NUMBERS = st.integers(0, MANY)
PINNED = st.builds(image, NUMBERS, st.sampled_from(PATHS))
LOOSE = st.builds(lambda path: f"reg.test/{path}:latest", st.sampled_from(PATHS))
STATES = st.sampled_from([GOOD, GOOD, GOOD, NEW, BAD])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """An image as a spec names it: now and then without its digest, or not at all."""
    odd = draw(st.integers(0, 40))
    return draw(LOOSE) if odd == 40 else "" if odd == 39 else draw(PINNED)


@st.composite
def histories(draw: st.DrawFn, name: str) -> list[Shipped]:
    """The releases of one service; most bring an image of their own."""
    states = draw(st.lists(STATES, min_size=draw(st.sampled_from([0, 25])), max_size=30))
    first = draw(st.integers(0, 10))
    again = draw(st.dictionaries(st.integers(1, 30), texts(), max_size=2))
    return [Shipped(name, n, again.get(n) or image(first + n, "a"), s) for n, s in enumerate(states, 1)]


@st.composite
def rollouts(draw: st.DrawFn) -> Any:
    plan = replace(rollout().plan, base=of_image(draw(texts())), target=of_image(draw(texts())))
    number = st.one_of(st.none(), st.integers(1, 30))
    return replace(
        rollout(), image=draw(texts()), requested=draw(number), plan=draw(st.sampled_from([plan, plan, None]))
    )


@st.composite
def some_records(draw: st.DrawFn) -> Records:
    web, api = draw(histories("web")), draw(histories("api"))
    released = st.sampled_from([s.image for s in web]) if web else texts()
    services = [service(draw(released), draw(texts())), service(draw(texts()), draw(texts()), "other")]
    order = draw(st.permutations([(n, path) for n in range(MANY + 1) for path in PATHS]))
    named = draw(st.lists(NAMES, min_size=len(order), max_size=len(order)))
    pushed = [
        Pushed(f"b-{n:03}", name, f"reg.test/{path}:{made}", digest(made), "e1")
        for n, (name, (made, path)) in enumerate(zip(named, order, strict=True))
    ][::-1]
    return Records(
        rollouts=draw(st.lists(rollouts(), max_size=2)),
        shipped=[*web, *api],
        pushed=pushed,
        services=draw(st.sampled_from([services, services[1:]])),
        keep=draw(st.sampled_from([dict.fromkeys(("shop", "other", "third"), n) for n in (1, 1, 4)] + [{"shop": 1}])),
        building=draw(st.sampled_from([set(), set(), set(), {"shop"}])),
    )


RECORDS = some_records()


def demanded(records: Records) -> Iterator[str]:
    """Said once more, the long way: every image that must be there."""
    for view in records.services:
        yield view.spec["TaskTemplate"]["ContainerSpec"]["Image"]
        yield view.previous_spec["TaskTemplate"]["ContainerSpec"]["Image"]
    for name in {s.service for s in records.shipped}:
        good = sorted((s for s in records.shipped if s.service == name and s.state is GOOD), key=lambda s: -s.number)
        yield from (s.image for s in good[:RELEASES])
        running = next((s.image for s in records.services if s.name == name), None)
        present = [s.number for s in records.shipped if s.service == name and s.image == running]
        present += [r.requested for r in records.rollouts if r.service == name and r.requested]
        for number in present:
            yield from [s.image for s in good if s.number < number][:RELEASES]
    for moving in records.rollouts:
        yield moving.image
        for end in (moving.plan.base, moving.plan.target) if moving.plan else ():
            yield end["TaskTemplate"]["ContainerSpec"]["Image"]
        yield from (s.image for s in records.shipped if s.service == "web" and s.number == moving.requested)


@given(RECORDS)
def test_nothing_that_is_needed_is_ever_named_for_removal(records: Records):
    gone = to_go(records)
    digests = {p.digest for p in gone}
    places = {p.pinned.repository for p in gone}
    for text in filter(None, demanded(records)):
        name = ImageName.parse(text)
        assert name.digest not in digests
        assert name.digest or name.repository not in places


@given(RECORDS)
def test_of_every_build_the_newest_images_are_left(records: Records):
    gone = {p.digest for p in to_go(records)}
    for name in {p.name for p in records.pushed}:
        images = list(dict.fromkeys(p.digest for p in records.pushed if p.name == name))
        assert not gone & set(images[: records.keep.get(name, len(images))])


@given(RECORDS)
def test_what_is_removed_leaves_nothing_more_to_remove(records: Records):
    gone = to_go(records)
    left = replace(records, pushed=[p for p in records.pushed if p not in gone])
    assert to_go(left) == []


@given(RECORDS, st.integers(1, 30))
def test_a_rollout_that_begins_takes_nothing_off_what_is_needed(records: Records, number: int):
    begun = replace(records, rollouts=[*records.rollouts, replace(rollout(), requested=number)])
    assert needed(records) <= needed(begun)


# -- several platforms -----------------------------------------------------------------------------


def several(number: int, arm: int | None = None) -> Pushed:
    """An index of two images: digests 100 + *number*, and 200 + *number* or *arm*."""
    parts = {"linux/amd64": digest(100 + number), "linux/arm64": digest(200 + number if arm is None else arm)}
    return replace(build(number), parts=parts)


def test_an_index_takes_its_parts_along_and_what_is_kept_keeps_its_own():
    records = Records(pushed=[several(2), several(1)], keep={"shop": 1})
    assert going(records) == ["b-001"]
    assert {digest(2), digest(102), digest(202)} == needed(records).digests
    gone = [ImageName.parse(f"reg.test/shop@{digest(n)}") for n in (101, 201)]
    assert parts_to_go(several(1), records) == gone
    assert [str(name) for name in several(1).names] == ["reg.test/shop:1-linux-amd64", "reg.test/shop:1-linux-arm64"]


@pytest.mark.parametrize("other", [several(2, arm=201), build(2, made=201)])
def test_a_part_that_another_build_has_as_well_stays(other):
    records = Records(pushed=[other, several(1)], keep={"shop": 1})
    assert [p.digest for p in parts_to_go(several(1), records)] == [digest(101)]


def test_a_part_that_a_service_runs_by_itself_stays():
    records = Records(pushed=[several(2), several(1)], keep={"shop": 1}, services=[service(image(201))])
    assert going(records) == ["b-001"]
    assert [p.digest for p in parts_to_go(several(1), records)] == [digest(101)]
