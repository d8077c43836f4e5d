"""How builds look, and how the events of a stream are read."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from nodewise.cli.built import STYLES, build_table, ending
from nodewise.cli.words import QUIET
from nodewise.domain.build import BuildState
from nodewise.domain.errors import RetryLater
from nodewise.streaming import Event, events, repeatedly
from tests.unit.swarm_values import NEW


def build(**changes) -> dict:
    now = time.time()
    values = {
        "id": "b-1j9k2m3n4p5q6r",
        "name": "shop",
        "ref": "refs/tags/v1.24.3",
        "commit": "c3f" + "0" * 37,
        "image": "registry.example.org/shop:1.24.3",
        "state": "pushed",
        "ended": True,
        "digest": NEW,
        "error": "",
        "author": "Ann Example",
        "message": "Prices are rounded once",
        "created_at": now - 200,
        "started_at": now - 199,
        "duration": 190.2,
    }
    return values | changes


def drawn(*builds: dict, width: int = 100) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(build_table(builds))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_hundred_columns_have_room_for_the_message_and_its_author() -> None:
    head, *rows = drawn(build())
    assert head.split() == ["BUILD", "NAME", "REF", "STATE", "STARTED", "TOOK", "COMMIT"]
    assert rows[0].startswith("b-1j9k2m3n4p5q6r  shop  v1.24.3  pushed  3 min ago  3 min 10 s  c3f0000 Prices")
    assert " ".join(" ".join(rows).split()).endswith("Prices are rounded once (Ann Example)")
    assert len(rows) <= 2


def test_of_an_error_the_table_has_the_first_line_alone() -> None:
    failed = build(state="failed", error="\nstep 3/7 RUN make: exit code 2\nno rule\n")
    text = " ".join(" ".join(drawn(failed)).split())
    assert "(Ann Example) step 3/7 RUN make: exit code 2" in text
    assert "no rule" not in text


def test_a_build_that_is_on_its_way_shows_how_long_it_takes_so_far() -> None:
    going = build(state="building", ended=False, duration=None, message="", author="")
    assert "building  3 min ago  3 min 19 s  c3f0000" in drawn(going)[1]
    waiting = build(state="waiting", ended=False, duration=None, started_at=None)
    assert drawn(waiting)[1].split()[3:8] == ["waiting", "3", "min", "ago", "c3f0000"]


def test_every_state_has_a_style_and_what_was_not_built_is_quiet() -> None:
    assert {state.value for state in BuildState} <= set(STYLES)
    assert STYLES["skipped"] == STYLES["replaced"] == QUIET


def test_what_comes_from_a_commit_cannot_steer_the_terminal_or_the_markup() -> None:
    text = "\n".join(drawn(build(message="[red]x\x1b[2J", author="\x1b]0;owned\x07[/]")))
    assert "\x1b" not in text
    assert "[red]x" in text


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "build b-1j9k2m3n4p5q6r of shop pushed: registry.example.org/shop:1.24.3 (bbbbbbbbbbbb) in 3 min 10 s"),
        ({"state": "building", "ended": False}, "build b-1j9k2m3n4p5q6r of shop building"),
        ({"state": "skipped", "error": "nothing changed"}, "build b-1j9k2m3n4p5q6r of shop skipped: nothing changed"),
    ],
)
def test_a_state_is_told_in_one_line(changes: dict, line: str) -> None:
    assert ending(build(**changes)) == line


def test_events_are_read_with_names_and_ids_and_comments_only_keep_them_alive() -> None:
    lines = [
        b": hi",
        b"",
        b"id: 7",
        b"event: log",
        b'data: {"text": "a: b"}',
        b"",
        b"event: build",
        b"data: {}",
        b"",
        b"data: x",
    ]
    assert list(events(lines)) == [None, Event("log", "7", '{"text": "a: b"}'), Event("build", "", "{}")]


def test_who_is_away_for_a_moment_is_asked_again() -> None:
    answers = iter([RetryLater("away"), 1, 2])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, RetryLater):
            raise answer
        return answer

    found = repeatedly(ask)
    assert [next(found) for _ in range(3)] == [None, 1, 2]
