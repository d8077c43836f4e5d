"""nodewise deliveries and replay, as typed: what came in, what came of it, what was turned away."""

from __future__ import annotations

import json
import re

import pytest

from nodewise.domain.build import BuildState
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import AlertFired
from tests.integration.web_parts import Api, Run, add_build, add_delivery, add_pushed, end_build
from tests.unit.swarm_values import NEW


def finish(api: Api, delivery: str, outcome: str) -> None:
    for event in api.deps.store.delivery_events(delivery):
        api.deps.store.finish_event(event.id, outcome, api.deps.clock.now())


def add_ping(api: Api) -> str:
    ping = NewDelivery("github", "shop", "p-1", Verdict.PING, b"", note="a ping")
    return api.deps.store.accept(ping, api.deps.clock.now()).delivery_id


def rows(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_list_says_what_came_of_each_delivery(api: Api, run: Run) -> None:
    done, waits, ping = add_delivery(api.deps), add_delivery(api.deps, "delivery-2"), add_ping(api)
    finish(api, done, "web: rollout r-1")
    head, *listed = (re.sub(r"\d+ s ago", "now", row) for row in rows(run("deliveries").stdout))
    assert head == "DELIVERY RECEIVED HOOK STATE WHAT CAME OF IT"
    assert set(listed) == {
        f"{ping} now github/shop ping a ping",
        f"{waits} now distribution/main waiting not handled yet",
        f"{done} now distribution/main handled web: rollout r-1",
    }


@pytest.mark.parametrize("words", [("--provider", "github"), ("--hook", "shop"), ("--verdict", "ping")])
def test_the_list_is_narrowed_by_provider_hook_and_verdict(api: Api, run: Run, words: tuple[str, ...]) -> None:
    other, ping = add_delivery(api.deps), add_ping(api)
    for local in ((), ("--local",)):
        shown = run(*local, "deliveries", *words)
        assert ping in shown.stdout
        assert other not in shown.stdout
    assert "no such delivery is on record" in run("deliveries", "--hook", "none").stdout
    assert run("deliveries", "--verdict", "fine").exit_code == 2


def test_what_was_turned_away_is_told_with_the_way_out(api: Api, run: Run) -> None:
    assert "turned away" not in run("deliveries").stdout
    for _ in range(3):
        api.deps.store.count_rejected("github", "shop", "wrong signature", api.deps.clock.now())
    shown = run("deliveries", "--hook", "shop").stdout
    assert "turned away, and not kept (compare the secret at the provider with the hook's):" in shown
    assert "github/shop: 3 x wrong signature, the last 0 s ago" in shown
    assert "turned away" not in run("deliveries", "--hook", "main").stdout
    (counted,) = json.loads(run("deliveries", "--json").stdout)["rejected"]
    assert (counted["hook"], counted["reason"], counted["count"]) == ("shop", "wrong signature", 3)


def test_one_delivery_is_shown_with_its_events_and_what_each_led_to(api: Api, run: Run) -> None:
    delivery = add_delivery(api.deps)
    finish(api, delivery, "no service runs it")
    shown = rows(run("deliveries", delivery).stdout)
    assert "note one tag" in shown
    assert "key delivery-1" in shown
    assert shown[-1].endswith(f"image pushed reg:5000/web:2 ({NEW[7:19]}) no service runs it")
    assert json.loads(run("deliveries", delivery, "--json").stdout)["outcomes"] == ["no service runs it"]


def test_a_failed_build_is_a_failed_delivery_with_the_step_that_failed(api: Api, run: Run) -> None:
    good, bad = add_delivery(api.deps), add_pushed(api.deps)
    finish(api, good, "no service runs it")
    add_build(api.deps, "b-1", delivery=bad)
    (shown,) = [row for row in rows(run("deliveries").stdout) if bad in row]
    assert "git waiting build b-1" in shown
    end_build(api.deps, "b-1", BuildState.FAILED, error="step 3/7 RUN make: exit code 2\nno rule\nstop")
    listed = rows(run("deliveries").stdout)
    at = next(n for n, row in enumerate(listed) if bad in row)
    assert listed[at].endswith("git failed build b-1")
    assert listed[at + 1] == "b-1 failed: step 3/7 RUN make: exit code 2"
    for local in ((), ("--local",)):
        narrowed = run(*local, "deliveries", "--failed").stdout
        assert bad in narrowed
        assert good not in narrowed
    one = rows(run("deliveries", bad).stdout)
    assert {"state failed", "build b-1 failed: step 3/7 RUN make: exit code 2"} <= set(one)
    tail = ["step 3/7 RUN make: exit code 2", "no rule", "stop", "nodewise builds b-1 --log"]
    assert one[-5:] == ["build b-1 of web failed:", *tail]


def test_an_alert_is_shown_with_its_service_and_summary(api: Api, run: Run) -> None:
    alert = AlertFired("web", "f00", "2026-01-01T00:00:00Z", "too many errors")
    new = NewDelivery("alertmanager", "alertmanager", "a", Verdict.ACCEPTED, b"", (alert,))
    delivery = api.deps.store.accept(new, api.deps.clock.now()).delivery_id
    assert "alert fired web: too many errors not handled yet" in rows(run("deliveries", delivery).stdout)[-1]


def test_a_replay_says_how_many_events_and_where_to_look(api: Api, run: Run) -> None:
    delivery = add_delivery(api.deps)
    done = run("replay", delivery)
    assert (done.exit_code, done.stdout) == (
        0,
        f"1 event of {delivery} will be handled once more\n  nodewise deliveries {delivery}\n",
    )
    assert json.loads(run("replay", delivery, "--json").stdout) == {"delivery": delivery, "events": 1}


def test_a_replay_of_what_meant_nothing_has_not_happened_and_says_why(api: Api, run: Run) -> None:
    refused = run("replay", add_ping(api))
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "meant nothing when it came in" in refused.stderr
    assert run("replay", "d-none").exit_code == 1
