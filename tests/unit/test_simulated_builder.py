"""The builder in memory keeps the port's promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import SourceOrder
from nodewise.ports import Builder, Progress
from nodewise.testing import App, SimulatedBuilder
from nodewise.testing.app import Registry
from tests.building import Ended, Listener, order_of

NAME = ImageName.parse("registry:5000/app:v1")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").touch()
    return tmp_path


def test_what_it_builds_it_pushes(context: Path) -> None:
    registry, said = Registry(), Listener()
    builder: Builder = SimulatedBuilder(registry, lambda _: App())
    image = builder.build(order_of(context), said)
    assert builder.has_image(image)
    assert builder.push(NAME, said) == registry.digest(NAME)
    assert [line.split()[0] for line in said.lines] == ["Successfully", "v1:"]
    registry.away = True
    with pytest.raises(RetryLater, match="refused"):
        builder.push(NAME, said)
    with pytest.raises(GiveUp, match="does not exist locally"):
        builder.push(NAME.with_tag("v2"), said)
    with pytest.raises(GiveUp, match="not in the repository"):
        builder.build(order_of(context, dockerfile="other"), said)


def test_an_index_is_that_of_its_parts_and_wants_all_of_them(context: Path) -> None:
    registry, said = Registry(), Listener()
    builder = SimulatedBuilder(registry, lambda _: App())
    parts = {}
    for platform, tag in (("linux/amd64", "v1-a"), ("linux/arm64", "v1-b")):
        builder.build(order_of(context, NAME.with_tag(tag)), said)
        parts[platform] = builder.push(NAME.with_tag(tag), said)
    digest = registry.index(NAME, parts)
    assert registry.digest(NAME) == digest == registry.index(NAME, parts)
    assert digest not in parts.values()
    assert [p["Architecture"] for p in registry.resolve(NAME).platforms] == ["amd64", "arm64"]
    assert registry.found(str(NAME))[1].pullable
    registry.remove(NAME.pinned(parts["linux/arm64"]))
    assert not registry.found(str(NAME))[1].pullable
    with pytest.raises(RetryLater, match="no image"):
        registry.index(NAME, parts)


def test_it_ends_while_its_time_goes_by(context: Path) -> None:
    spent: list[float] = []
    builder = SimulatedBuilder(Registry(), lambda _: App(), 60.0, spent.append)
    with pytest.raises(Ended):
        builder.build(order_of(context), Listener(end=lambda: sum(spent) >= 3))
    assert sum(spent) == 3
    builder.build(order_of(context), Listener())
    assert sum(spent) == 63


def test_a_source_build_does_what_it_is_given_to_do(context: Path) -> None:
    def make(order: SourceOrder, progress: Progress) -> None:
        progress.line(order.command)
        (order.checkout / "made").touch()

    builder, said = SimulatedBuilder(Registry(), lambda _: App(), source=make), Listener()
    order = SourceOrder("build-1", "app", context, "tool", "make all")
    builder.run(order, said)
    builder.clear("build-1")
    builder.ping()
    assert (context / "made").exists()
    assert said.lines == ["make all"]
    assert (builder.ran, builder.cleared) == ([order], ["build-1"])
