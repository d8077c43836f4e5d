"""A build's stream over a real port: its log as it is printed, its state at every change, to the end; and resumed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
import requests

from nodewise.answers.following import follow_build
from nodewise.client import ApiClient
from nodewise.domain.build import BuildState
from nodewise.streaming import Event, events
from tests.integration.web_parts import (
    Api,
    add_build,
    add_moving,
    assert_problem,
    change_build,
    end_build,
)
from tests.product import wait_for


def stream(api: Api, **options) -> Iterator[Event]:
    """Each event as it comes."""
    with api.get("builds/b-1/stream", stream=True, **options) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield from filter(None, events(answer.iter_lines(chunk_size=None)))


def resumed(api: Api, last: str) -> list[tuple[str, str]]:
    return [short(e) for e in stream(api, headers={"Last-Event-ID": last})]


def short(event: Event) -> tuple[str, str]:
    data = json.loads(event.data)
    return event.name, data["text"] if event.name == "log" else data["state"]


def log(api: Api, *pieces: str) -> None:
    for piece in pieces:
        api.deps.store.append_build_log("b-1", piece)


def test_the_stream_tells_the_log_as_it_is_printed_and_ends_with_the_last_state(api: Api) -> None:
    add_build(api.deps)
    log(api, "step 1\n")
    heard: list[Event] = []

    def listen() -> None:
        for event in stream(api):
            heard.append(event)

    listener = threading.Thread(target=listen)
    listener.start()
    wait_for("what there was", lambda: [short(e) for e in heard] == [("build", "building"), ("log", "step 1\n")])
    log(api, "step 2: ünï\r\n\n")
    wait_for("what was printed then", lambda: short(heard[-1]) == ("log", "step 2: ünï\r\n\n"))
    change_build(api.deps, state=BuildState.BUILT)
    wait_for("another state", lambda: short(heard[-1]) == ("build", "built"))
    log(api, "pushed\n")
    end_build(api.deps)
    listener.join(60)
    assert not listener.is_alive()
    assert [short(e) for e in heard[-2:]] == [("log", "pushed\n"), ("build", "pushed")]
    assert [e.id for e in heard if e.name == "build"] == ["", "", "end"]


def test_the_stream_of_an_ended_build_is_all_of_its_log_and_then_its_state(api: Api) -> None:
    add_build(api.deps)
    log(api, "one\n", "two\n")
    end_build(api.deps, state=BuildState.FAILED, error="step 2: exit code 1\ntwo")
    found = list(stream(api))
    assert [short(e) for e in found] == [("log", "one\n"), ("log", "two\n"), ("build", "failed")]
    last = json.loads(found[-1].data)
    assert (last["ended"], last["duration"], last["error"]) == (True, 12.0, "step 2: exit code 1\ntwo")
    assert "hunter2" not in last["repository"]
    assert_problem(api.get("builds/b-none/stream"), 404)


def test_the_stream_goes_on_where_it_broke_off(api: Api) -> None:
    add_build(api.deps)
    log(api, "one\n", "two\n", "three\n")
    first = next(e for e in stream(api) if e.name == "log")
    end_build(api.deps)
    rest = [("log", "two\n"), ("log", "three\n"), ("build", "pushed")]
    assert resumed(api, first.id) == rest
    assert [short(e) for e in stream(api, params={"after": first.id})] == rest
    after_all = max(int(e.id) for e in stream(api) if e.name == "log")
    assert resumed(api, str(after_all)) == [("build", "pushed")], "the end may be what was missed"
    assert api.get("builds/b-1/stream", headers={"Last-Event-ID": "end"}).status_code == 204
    assert_problem(api.get("builds/b-1/stream", headers={"Last-Event-ID": "-1"}), 422)


def test_nothing_is_missed_and_nothing_doubled_while_a_build_prints_and_ends(api: Api) -> None:
    add_build(api.deps)
    lines = [f"line {n}\n" for n in range(200)]

    def build() -> None:
        log(api, *lines)
        end_build(api.deps)

    builder = threading.Thread(target=build)
    builder.start()
    found = [short(e) for e in stream(api)]
    builder.join(60)
    assert [text for name, text in found if name == "log"] == lines
    assert found[-1] == ("build", "pushed")


def test_a_stream_in_which_nothing_comes_is_kept_alive(api: Api) -> None:
    add_build(api.deps)
    found = follow_build(api.deps, "b-1", keep_alive=0.1)
    assert [next(found) is None for _ in range(3)] == [False, True, True]


def open_streams(api: Api, *paths: str) -> list[requests.Response]:
    return [api.get(path, stream=True) for path in paths]


def test_streams_of_builds_and_rollouts_share_one_cap_and_a_client_asks_again_and_again_instead(api: Api) -> None:
    add_build(api.deps)
    add_moving(api.deps)
    log(api, "one\n")
    opened = open_streams(api, *["builds/b-1/stream", "rollouts/r-1/stream"] * 2)
    for path in ("builds/b-1/stream", "rollouts/r-1/stream"):
        assert_problem(api.get(path), 503, "too many streams")
    news = ApiClient(api.url, api.token).follow_build("b-1")
    assert (next(news) or {})["text"] == "one\n"
    assert (next(news) or {})["build"]["state"] == "building"
    log(api, "two\n")
    end_build(api.deps)
    (piece, last) = [n for n in news if n]
    assert (piece["text"], last["build"]["state"]) == ("two\n", "pushed")
    for answer in opened:
        answer.close()


def test_a_client_that_goes_away_frees_its_place(api: Api) -> None:
    add_build(api.deps)
    for answer in open_streams(api, *["builds/b-1/stream"] * 4):
        answer.close()

    def freed() -> bool:
        log(api, "more\n")  # whoever has gone is found out by what is sent to it
        with api.get("builds/b-1/stream", stream=True) as answer:
            return answer.ok

    wait_for("a free stream", freed)


@pytest.mark.parametrize("state", [BuildState.PUSHED, BuildState.FAILED])
def test_the_client_gives_the_log_and_the_end_of_a_build(api: Api, state: BuildState) -> None:
    add_build(api.deps)
    log(api, "one\n", "two\n")
    end_build(api.deps, state=state)
    news = [n for n in ApiClient(api.url, api.token).follow_build("b-1") if n]
    assert [n["event"] for n in news] == ["log", "log", "build"]
    assert news[-1]["build"] == api.get("builds/b-1").json()
