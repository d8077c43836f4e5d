"""When two clocks differ, and when an answer was only slow; and what runs side by side."""

from __future__ import annotations

import threading
import time

import pytest

from nodewise.answers.checks import Check
from nodewise.answers.clocks import Told, check_clock
from nodewise.answers.side_by_side import side_by_side
from nodewise.config.file import FileConfig
from nodewise.config.hooks import TIMED
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from webhooks.provider import names, provider


def settings(**hooks: str) -> Settings:
    made = Settings()
    file = {"hooks": {name: {"provider": p, "secrets": ["word"]} for name, p in hooks.items()}}
    made.__dict__["file"] = FileConfig.model_validate(file)
    return made


@pytest.mark.parametrize(
    ("at", "ahead"),
    [
        (100.0, 0.0),
        (102.0, 0.0),  # asked at 100, answered at 102: it may be right
        (110.0, 8.0),
        (90.0, -10.0),
    ],
)
def test_a_clock_is_off_by_what_the_time_of_asking_cannot_explain(at: float, ahead: float) -> None:
    assert Told("it", at, 100.0, 102.0).ahead == ahead


def test_a_time_to_the_second_may_be_almost_a_second_later() -> None:
    assert Told("it", 99.0, 99.9, 99.9, precision=1.0).ahead == 0.0


def test_a_few_seconds_are_no_matter() -> None:
    assert list(check_clock(settings(), Told("it", 104.0, 100.0, 100.0))) == []


def test_a_clock_that_is_off_is_told_with_what_breaks_and_what_to_do() -> None:
    own = settings(shop="github", code="git", cloud="standard-webhooks")
    (check,) = check_clock(own, Told("the manager m", 160.0, 100.0, 100.0))
    assert not check.ok
    assert check.detail == "this machine's clock is 60 s behind that of the manager m"
    assert "timedatectl" in check.hint
    assert "from 300 s on, what is signed with a time is refused: cloud, code" in check.hint
    (worse,) = check_clock(own, Told("the manager m", 100.0, 700.0, 700.0))
    assert "10 min ahead of that" in worse.detail
    assert "nothing of a right clock gets in by cloud, code" in worse.hint
    (none,) = check_clock(settings(shop="github"), Told("it", 700.0, 100.0, 100.0))
    assert "none is configured" in none.hint


def test_the_providers_with_a_signed_time_are_those_that_say_so() -> None:
    words = ("signed time", "token's time")
    told = {name for name in names() if any(word in provider(name).ABOUT.replay for word in words)}
    assert told == set(TIMED)


def test_what_takes_long_costs_the_others_nothing_and_is_told_by_name() -> None:
    over = threading.Event()

    def slow() -> list[Check]:
        over.wait(30)
        return []

    def away() -> list[Check]:
        raise RetryLater("it is away", "look for it")

    began = time.monotonic()
    found = list(side_by_side({"slow": slow, "away": away, "well": lambda: [Check("well", True, "is")]}, 0.2))
    over.set()
    assert time.monotonic() - began < 10
    assert [(c.name, c.ok, c.detail) for c in found] == [
        ("slow", False, "no answer within 0.2 s"),
        ("away", False, "it is away"),
        ("well", True, "is"),
    ]
    assert list(side_by_side({}, 1.0)) == []
