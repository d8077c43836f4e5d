"""What a person may do to a rollout and a service, over HTTP and on the store itself: who may, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodewise import tokens
from nodewise.cli.local import LocalClient
from nodewise.client import ApiClient, Nodewise
from nodewise.domain.errors import Conflict, Forbidden, NotFound, UserError
from nodewise.domain.jobs import Verb
from nodewise.domain.locks import Lock
from nodewise.domain.model import Approval, Chore, ChoreRun, Kind, OnFailure, Phase, Plan
from nodewise.domain.steps import GatePlan, Step, StepState
from tests.integration.standing_swarm import StandingSwarm, helper, service
from tests.integration.test_api import assert_problem
from tests.integration.web_parts import SECRET, SERVICE, Api, add_moving, change, open_api
from tests.integration.web_parts import plan as plan_of_record
from tests.unit.swarm_values import NEW, OLD

IMAGE = "reg:5000/web:2"


@pytest.fixture
def swarm() -> StandingSwarm:
    return StandingSwarm(service(SERVICE, Labels={"team": SECRET}))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swarm: StandingSwarm) -> Iterator[Api]:
    with open_api(tmp_path, monkeypatch, swarm) as opened:
        yield opened


@pytest.fixture(params=["http", "local"])
def client(api: Api, request: pytest.FixtureRequest) -> Nodewise:
    """The same questions over HTTP and on the store itself."""
    return ApiClient(api.url, api.token) if request.param == "http" else LocalClient(api.deps)


def staged_plan(**changes: Any) -> Plan:
    gates = (GatePlan("http", 1.0, 3, 2, {"url": "http://{task}/"}),)
    values = {"strategy": "staged", "staged": True, "candidate_gates": gates, "approval": Approval.EACH}
    return replace(plan_of_record(), **(values | changes))


def add_staging(api: Api, *states: StepState, **changes: Any) -> str:
    """A staged rollout of a stage a node, at these states."""
    add_moving(api.deps)
    steps = tuple(Step(f"n{n}", f"node{n}", state, stage=n - 1) for n, state in enumerate(states, 1))
    change(api.deps, "r-1", **({"phase": Phase.STAGING, "plan": staged_plan(), "steps": steps} | changes))
    return "r-1"


def due(api: Api) -> list[tuple[Verb, str]]:
    return [(j.verb, j.subject) for j, _ in api.deps.store.due_jobs(api.deps.clock.now() + 60, 0.0)]


# -- who may ---------------------------------------------------------------------------------------------

ROUTES = [
    ("POST", "rollouts/r-1/pause", "deploy"),
    ("POST", "rollouts/r-1/resume", "deploy"),
    ("POST", "rollouts/r-1/abort", "deploy"),
    ("POST", "rollouts/r-1/approve", "approve"),
    ("PUT", f"services/{SERVICE}/lock", "deploy"),
    ("DELETE", f"services/{SERVICE}/lock", "deploy"),
    ("POST", f"services/{SERVICE}/plan", "read"),
]


def prepared(api: Api, path: str) -> dict[str, str]:
    """Whatever makes *path* possible; the body to send."""
    if "rollouts" in path:
        add_staging(api, StepState.PASSED, StepState.WAITING, held="by ann" if "resume" in path else "")
    api.deps.store.add_lock(Lock(SERVICE, "", "moving", "ann", 1.0))
    return {"image": IMAGE} if path.endswith("plan") else {}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_asks_for_its_own_scope(api: Api, method: str, path: str, scope: str) -> None:
    body = prepared(api, path)
    wrong = {"deploy": ["read", "approve"], "approve": ["read", "deploy"], "read": []}[scope]
    for held in wrong:
        token = tokens.create(api.deps, f"has-{held}", [held], "test")
        answer = api.ask(method, path, token=token, json=body)
        assert assert_problem(answer, 403, f"has-{held}")["scope"] == scope
    assert_problem(api.ask(method, path, token="", json=body), 401)
    right = tokens.create(api.deps, "right", [scope], "test")
    answer = api.ask(method, path, token=right, json=body)
    assert answer.status_code in (200, 202), answer.text


@pytest.mark.parametrize(("method", "path", "_scope"), [r for r in ROUTES if "rollouts" in r[1]])
def test_a_rollout_that_is_not_there_is_not_found(api: Api, method: str, path: str, _scope: str) -> None:
    assert_problem(api.ask(method, path), 404, "no rollout 'r-1'")


@pytest.mark.parametrize("word", ["pause", "resume", "abort", "approve"])
def test_a_rollout_that_has_ended_is_left_alone_and_the_reason_is_told(api: Api, word: str) -> None:
    add_staging(api, StepState.PASSED, phase=Phase.ROLLED_BACK, ended_at=1.0)
    assert_problem(api.post(f"rollouts/r-1/{word}"), 409, "r-1 has ended: it is rolled back")


# -- pause, resume, abort, approve -----------------------------------------------------------------------


def test_pause_and_resume_hold_a_staged_rollout_and_wake_it(client: Nodewise, api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.FAILED)
    paused = client.pause("r-1")
    assert paused["held"].startswith("paused by ")
    assert client.pause("r-1")["held"] == paused["held"], "twice is once"
    assert (Verb.ADVANCE, "r-1") in due(api)
    resumed = client.resume("r-1")
    assert (resumed["held"], resumed["steps"][1]["state"]) == ("", "moving")
    with pytest.raises(Conflict, match="r-1 is not paused, it is staging"):
        client.resume("r-1")
    assert [a.what for a in api.deps.store.audit(10)][:3] == ["resume", "pause", "pause"]


def test_a_rolling_update_cannot_be_paused_and_it_is_said_why(client: Nodewise, api: Api) -> None:
    add_moving(api.deps)
    with pytest.raises(Conflict, match="r-1 cannot be paused while it is moving") as error:
        client.pause("r-1")
    assert "cannot be held half-way" in error.value.hint


def test_an_abort_is_asked_for_and_told_and_a_waiting_rollout_ends_at_once(client: Nodewise, api: Api) -> None:
    add_moving(api.deps)
    asked = client.abort("r-1")
    assert (asked["phase"], bool(asked["abort"]), asked["ended"]) == ("moving", True, False)
    assert (Verb.ADVANCE, "r-1") in due(api)
    change(api.deps, "r-1", phase=Phase.WAITING, app_rollout="g-1", abort="")
    ended = client.abort("r-1")
    assert (ended["phase"], ended["ended"]) == ("aborted", True)
    assert ended["reason"].startswith("aborted by ")
    assert (Verb.ADVANCE, "g-1") in due(api)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": Kind.ROLLBACK}, "r-1 is a rollback, and is never rolled back"),
        ({"phase": Phase.ROLLING_BACK}, "r-1 cannot be aborted, it is rolling back"),
        ({"phase": Phase.CLEARING}, "r-1 cannot be aborted, it is clearing"),
    ],
)
def test_what_goes_back_already_is_not_aborted(client: Nodewise, api: Api, changes: dict, words: str) -> None:
    add_moving(api.deps)
    change(api.deps, "r-1", **changes)
    with pytest.raises(Conflict, match=words):
        client.abort("r-1")


def test_an_approval_answers_what_is_asked_and_is_bound_to_the_digest(client: Nodewise, api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    assert client.rollout("r-1")["waits_for"] == "stage 1"
    with pytest.raises(Conflict, match=f"r-1 brings {NEW}, not {OLD}"):
        client.approve("r-1", OLD)
    done = client.approve("r-1", NEW)
    assert done["waits_for"] == ""
    (said,) = done["approvals"]
    assert (said["what"], said["digest"]) == ("stage 1", NEW)
    with pytest.raises(Conflict, match="r-1 waits for no approval, it is staging"):
        client.approve("r-1", "")


def test_an_approval_takes_an_optional_digest_and_nothing_else(api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    problem = assert_problem(api.post("rollouts/r-1/approve", json={"digset": NEW}), 422, "digset")
    assert problem["field"] == "digset"
    answer = api.post("rollouts/r-1/approve")
    assert (answer.status_code, answer.headers["Location"]) == (202, "/api/v1/rollouts/r-1")
    assert answer.json()["approvals"][0]["who"] == "api:tester"


# -- what a rollout tells ----------------------------------------------------------------------------------


def test_a_rollout_tells_its_chores_stages_and_settings(client: Nodewise, api: Api) -> None:
    runs = (ChoreRun("before", made=True, done=True, detail="done", log="migrated\n"), ChoreRun("after"))
    planned = staged_plan(
        chores=(Chore("before", command=("migrate", SECRET)), Chore("after", command=("warm",))),
        watch=60.0,
        on_failure=OnFailure.PAUSE,
    )
    add_staging(api, StepState.PASSED, StepState.WAITING, plan=planned, chores=runs, idle_since=100.0)
    told = client.rollout("r-1")
    assert [(c["name"], c["state"], c["log"]) for c in told["chores"]] == [
        ("before", "done", "migrated\n"),
        ("after", "waiting", ""),
    ]
    assert [(s["stage"], s["size"]) for s in told["steps"]] == [(0, 1), (1, 1)]
    assert (told["watch"], told["on_failure"], told["approval"]) == (60.0, "pause", "each")
    assert told["approve_until"] == 100.0 + 86400.0
    assert [g["name"] for g in told["candidate_gates"]] == ["http"]
    assert (told["written_at"], told["ends_as"], told["app"]) == (None, None, None)
    assert SECRET not in str(told)
    (listed,) = client.rollouts(SERVICE, 10)
    assert [c["log"] for c in listed["chores"]] == ["", ""], "lists leave out what was printed"


def test_a_rollout_of_an_app_tells_of_the_others_as_they_go_on(client: Nodewise, api: Api) -> None:
    add_moving(api.deps)
    planned = plan_of_record()
    planned.target["Labels"]["nodewise.app"] = "shop"
    change(api.deps, "r-1", plan=planned, app_rollout="g-1")
    add_moving(api.deps, "r-2", "worker")
    change(api.deps, "r-2", phase=Phase.WAITING, app_rollout="g-1", stage=1, plan=None)
    states = client.follow("r-1")
    app = next(s for s in states if s)["app"]
    assert app["name"] == "shop"
    assert [(m["id"], m["service"], m["phase"], m["stage"]) for m in app["others"]] == [("r-2", "worker", "waiting", 1)]
    change(api.deps, "r-2", phase=Phase.PENDING)
    assert next(s for s in states if s)["app"]["others"][0]["phase"] == "pending"
    assert client.rollouts(SERVICE, 1)[0]["app_rollout"] == "g-1"
    change(api.deps, "r-1", phase=Phase.SUCCEEDED, ended_at=1.0)
    assert [s for s in states if s][-1]["ended"]


# -- locks -------------------------------------------------------------------------------------------------


def test_a_lock_is_shown_with_its_service_and_the_first_reason_stands(client: Nodewise) -> None:
    made = client.lock(SERVICE, "the database moves")
    assert (made["service"], made["digest"], made["reason"]) == (SERVICE, "", "the database moves")
    assert client.lock(SERVICE, "another")["reason"] == "the database moves"
    assert client.services()[0]["locks"] == client.service(SERVICE)["locks"] == [made]
    assert client.unlock(SERVICE) == {"service": SERVICE, "locks": 1}
    assert client.service(SERVICE)["locks"] == []
    with pytest.raises(NotFound, match="is not locked"):
        client.unlock(SERVICE)


def test_locks_of_single_digests_are_shown_and_go_with_the_others(client: Nodewise, api: Api) -> None:
    api.deps.store.add_lock(Lock(SERVICE, NEW, "r-0 rolled back", "nodewise", 1.0))
    assert [lock["digest"] for lock in client.service(SERVICE)["locks"]] == [NEW]
    client.lock(SERVICE, "")
    assert client.unlock(SERVICE)["locks"] == 2


def test_a_service_that_nobody_knows_cannot_be_locked(client: Nodewise) -> None:
    with pytest.raises(NotFound, match="no service 'nothing'"):
        client.lock("nothing", "")


def test_a_put_body_is_read_as_json_and_a_misspelt_word_is_refused(api: Api) -> None:
    path = f"services/{SERVICE}/lock"
    assert_problem(api.ask("PUT", path, data="[1]"), 400)
    assert_problem(api.ask("PUT", path, data='{"reason"'), 400)
    assert assert_problem(api.ask("PUT", path, json={"raeson": "x"}), 422)["field"] == "raeson"
    assert api.ask("PUT", path).json()["reason"] == "no reason given"


def test_a_service_may_be_locked_while_the_swarm_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_api(tmp_path, monkeypatch) as api:
        answer = api.ask("PUT", f"services/{SERVICE}/lock", json={"reason": "everything is on fire"})
        assert answer.status_code == 200
        assert_problem(api.post(f"services/{SERVICE}/plan", json={"image": IMAGE}), 503, "no swarm manager answers")


# -- candidates --------------------------------------------------------------------------------------------


def test_candidates_are_shown_under_their_service_and_nowhere_else(
    client: Nodewise, api: Api, swarm: StandingSwarm
) -> None:
    add_staging(api, StepState.PASSED, StepState.MOVING, helpers=True)
    swarm.put(helper("web-candidate-node1-r-1", "r-1", "candidate.n1"), helper("web-prepull-r-1", "r-1", "prepull"))
    (listed,) = client.services()
    assert listed["name"] == SERVICE
    (candidate,) = listed["candidates"]
    assert (candidate["node"], candidate["rollout"], candidate["digest"]) == ("node1", "r-1", NEW)
    assert candidate["replicas"] == {"running": 3, "wanted": 3}
    one = client.service(SERVICE)
    assert one["candidates"] == [candidate]
    assert {t["image"] for n in one["nodes"] for t in n["tasks"]} == {f"reg:5000/web:1@{OLD}"}
    with pytest.raises(NotFound):
        client.service("web-candidate-node1-r-1")


# -- plan --------------------------------------------------------------------------------------------------


def test_a_plan_is_the_same_over_http_and_on_the_store(api: Api) -> None:
    over_http, local = ApiClient(api.url, api.token), LocalClient(api.deps)
    told = over_http.plan(SERVICE, IMAGE)
    assert told == local.plan(SERVICE, IMAGE)
    assert (told["strategy"], told["to_image"]) == ("rolling", f"{IMAGE}@{NEW}")
    assert [n["node"] for n in told["stages"][0]] == ["node1", "node2", "node3"]
    assert SECRET not in str(told)
    assert over_http.rollouts(None, 10) == []


def test_a_plan_is_refused_as_the_deploy_would_be(client: Nodewise) -> None:
    with pytest.raises(NotFound, match="the registry has no"):
        client.plan(SERVICE, "reg:5000/web:9")
    with pytest.raises(NotFound, match="no service 'nothing'"):
        client.plan("nothing", IMAGE)
    with pytest.raises(UserError, match="is not valid"):
        client.plan(SERVICE, "Reg/Web:")


def test_the_client_tells_a_missing_scope_as_what_it_is(api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    reader = ApiClient(api.url, tokens.create(api.deps, "reader", ["read"], "test"))
    assert reader.plan(SERVICE, IMAGE)["service"] == SERVICE
    with pytest.raises(Forbidden, match="scope 'approve'"):
        reader.approve("r-1", "")


def test_both_clients_answer_every_question_in_the_same_shape(api: Api) -> None:
    add_staging(api, StepState.PASSED, StepState.WAITING)
    over_http, local = ApiClient(api.url, api.token), LocalClient(api.deps)
    for ask in (
        lambda c: c.rollout("r-1"),
        lambda c: c.rollouts(None, 5),
        lambda c: c.service(SERVICE),
        lambda c: c.services(),
    ):
        assert ask(over_http) == ask(local)
