"""A rollout's stream over a real port: every change as it comes, to its end, and never all the threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

from nodewise.client import ApiClient
from nodewise.domain.rollout import Phase
from tests.integration.web_parts import (
    Api,
    add_moving,
    assert_problem,
    change,
    end,
)
from tests.product import wait_for


def stream(api: Api, rollout_id: str) -> Iterator[dict]:
    """Each state as it comes."""
    with api.get(f"rollouts/{rollout_id}/stream", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines(chunk_size=None):
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def test_the_stream_tells_every_change_and_ends_with_the_rollout(api: Api) -> None:
    add_moving(api.deps)
    heard: list[dict] = []

    def listen() -> None:
        for state in stream(api, "r-1"):
            heard.append(state)

    def phases() -> list[str]:
        return [state["phase"] for state in heard]

    listener = threading.Thread(target=listen)
    listener.start()
    wait_for("the first state", lambda: phases() == ["moving"])
    change(api.deps, "r-1", phase=Phase.ROLLING_BACK, reason="gate http failed")
    wait_for("the second", lambda: phases()[-1] == "rolling_back")
    end(api.deps, "r-1", Phase.ROLLED_BACK)
    listener.join(60)
    assert not listener.is_alive()
    assert phases() == ["moving", "rolling_back", "rolled_back"]
    assert heard[-1]["reason"] == "gate http failed"


def test_the_stream_of_an_ended_rollout_is_its_last_state(api: Api) -> None:
    add_moving(api.deps)
    end(api.deps, "r-1")
    assert [r["phase"] for r in stream(api, "r-1")] == ["succeeded"]
    assert_problem(api.get("rollouts/r-none/stream"), 404)


def test_the_stream_waits_a_moment_for_the_evidence(api: Api) -> None:
    add_moving(api.deps)
    end(api.deps, "r-1", Phase.CHANGED, failing_task="t2")
    heard = []
    for state in stream(api, "r-1"):
        heard.append(state["evidence"])
        api.deps.store.set_evidence("r-1", "error: boom")
    assert heard == ["", "error: boom"]


def test_streams_cannot_use_up_all_threads_and_a_client_asks_again_and_again_instead(api: Api) -> None:
    add_moving(api.deps)
    answers = [api.get("rollouts/r-1/stream", stream=True) for _ in range(4)]
    assert_problem(api.get("rollouts/r-1/stream"), 503, "too many streams")
    states = ApiClient(api.url, api.token).follow("r-1")
    assert (next(states) or {})["phase"] == "moving"
    end(api.deps, "r-1")
    assert [s for s in states if s][-1]["phase"] == "succeeded"
    for answer in answers:
        answer.close()
    assert wait_for("a free stream", lambda: api.get("rollouts/r-1/stream").ok)
