"""The HTTP API over a real port, on a real store. The swarm is away: most of it has to work all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import requests

from nodewise import tokens
from nodewise.domain.build import BuildState
from nodewise.domain.jobs import Verb
from nodewise.web.api import create_api_app
from nodewise.web.auth import ensure_admin_token
from tests.integration.web_parts import (
    SECRET,
    SERVICE,
    Api,
    add_build,
    add_delivery,
    add_moving,
    add_pushed,
    add_reading,
    assert_problem,
    end,
    end_build,
    serving,
)

pytestmark = pytest.mark.seconds(15)

CONTRACT = {
    "/api/v1/services": {"get"},
    "/api/v1/services/{name}": {"get"},
    "/api/v1/services/{name}/deploy": {"post"},
    "/api/v1/services/{name}/rollback": {"post"},
    "/api/v1/services/{name}/releases": {"get"},
    "/api/v1/services/{name}/plan": {"post"},
    "/api/v1/services/{name}/lock": {"put", "delete"},
    "/api/v1/rollouts": {"get"},
    "/api/v1/rollouts/{id}": {"get"},
    "/api/v1/rollouts/{id}/stream": {"get"},
    "/api/v1/rollouts/{id}/pause": {"post"},
    "/api/v1/rollouts/{id}/resume": {"post"},
    "/api/v1/rollouts/{id}/abort": {"post"},
    "/api/v1/rollouts/{id}/approve": {"post"},
    "/api/v1/deliveries": {"get"},
    "/api/v1/deliveries/{id}": {"get"},
    "/api/v1/deliveries/{id}/replay": {"post"},
    "/api/v1/builds": {"get"},
    "/api/v1/builds/{id}": {"get"},
    "/api/v1/builds/{id}/log": {"get"},
    "/api/v1/builds/{id}/stream": {"get"},
    "/api/v1/nodes": {"get"},
}


# -- the document ----------------------------------------------------------------------------------------


def test_the_document_names_every_route_and_is_open(api: Api) -> None:
    document = api.get("/openapi.json", token="").json()
    assert {path: set(methods) for path, methods in document["paths"].items()} == CONTRACT
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    deploy = document["paths"]["/api/v1/services/{name}/deploy"]["post"]
    assert deploy["security"] == [{"token": []}]
    assert set(deploy["responses"]) >= {"202", "400", "401", "403", "404", "422", "503"}
    for path in document["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["422"]["content"]


def test_every_reference_in_the_document_leads_somewhere(api: Api) -> None:
    text = api.get("/openapi.json", token="").text
    schemas = json.loads(text)["components"]["schemas"]
    referred = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert referred
    assert referred <= set(schemas)


# -- who may -----------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_answered(api: Api) -> None:
    answer = api.get("rollouts", token="")
    assert_problem(answer, 401, "no token was sent")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="nodewise"'


def test_an_unknown_or_revoked_token_is_refused(api: Api) -> None:
    token = tokens.create(api.deps, "gone", ["admin"], "test")
    assert api.get("rollouts", token=token).ok
    tokens.revoke(api.deps, "gone", "test")
    for refused in (token, "nw_unknown"):
        answer = api.get("rollouts", token=refused)
        assert_problem(answer, 401)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_token_without_the_scope_is_told_which_one_it_lacks(api: Api) -> None:
    token = tokens.create(api.deps, "reader", ["read"], "test")
    assert api.get("rollouts", token=token).ok
    answer = api.post(f"services/{SERVICE}/rollback", token=token, json={})
    assert assert_problem(answer, 403, "reader")["scope"] == "deploy"
    assert 'scope="deploy"' in answer.headers["WWW-Authenticate"]


def test_who_may_deploy_may_read(api: Api) -> None:
    token = tokens.create(api.deps, "ci", ["deploy"], "test")
    assert api.get("rollouts", token=token).ok


def test_a_request_is_not_looked_at_before_its_token_is(api: Api) -> None:
    assert_problem(api.post(f"services/{SERVICE}/rollback", token="", data="{"), 401)
    assert_problem(api.get("rollouts?limit=x", token=""), 401)


def test_tokens_are_kept_as_hashes_only(api: Api) -> None:
    assert api.token.startswith("nw_")
    for file in Path(api.deps.settings.data_dir).glob("nodewise.db*"):
        assert api.token.encode() not in file.read_bytes()


def test_the_admin_token_is_made_once_for_its_owner_alone(api: Api) -> None:
    path = ensure_admin_token(api.deps)
    first = path.read_text()
    assert path.name == "admin.token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_admin_token(api.deps).read_text() == first
    assert api.get("rollouts", token=first.strip()).ok


def test_a_revoked_admin_token_is_followed_by_another(api: Api) -> None:
    first = ensure_admin_token(api.deps).read_text().strip()
    tokens.revoke(api.deps, tokens.ADMIN_NAME, "test")
    second = ensure_admin_token(api.deps).read_text().strip()
    assert api.get("rollouts", token=first).status_code == 401
    assert api.get("rollouts", token=second).ok


# -- deploy and rollback -------------------------------------------------------------------------------------


def test_a_rollback_is_taken_in_while_the_swarm_is_away(api: Api) -> None:
    add_moving(api.deps)
    answer = api.post(f"services/{SERVICE}/rollback", json={"to": 1})
    assert answer.status_code == 202
    rollout = answer.json()
    assert (rollout["kind"], rollout["phase"], rollout["requested"]) == ("rollback", "pending", 1)
    assert rollout["origin"] == "api:tester"
    assert answer.headers["Location"] == f"/api/v1/rollouts/{rollout['id']}"
    assert api.get(answer.headers["Location"]).json()["id"] == rollout["id"]
    jobs = [j for j, _ in api.deps.store.due_jobs(api.deps.clock.now() + 10, 0.0)]
    assert (Verb.ROLLBACK, rollout["id"]) in [(j.verb, j.subject) for j in jobs]
    assert "api:tester" in [a.who for a in api.deps.store.audit(50)]


def test_asking_twice_for_a_rollback_is_asking_once(api: Api) -> None:
    add_moving(api.deps)
    first = api.post(f"services/{SERVICE}/rollback", json={})
    assert api.post(f"services/{SERVICE}/rollback").json()["id"] == first.json()["id"]


def test_a_rollback_to_a_release_that_is_not_there_names_those_that_are(api: Api) -> None:
    add_moving(api.deps)
    body = assert_problem(api.post(f"services/{SERVICE}/rollback", json={"to": 7}), 404, "has no release 7")
    assert (body["field"], body["hint"]) == ("to", "there are: 1 to 2")
    assert_problem(api.post("services/nothing/rollback"), 404, "no release of 'nothing'")


@pytest.mark.parametrize("sent", ['{"to": 1', "to=1", "[1]", '"1"', "null"])
def test_a_body_that_is_no_object_is_never_taken_for_no_body(api: Api, sent: str) -> None:
    add_moving(api.deps)
    assert_problem(api.post(f"services/{SERVICE}/rollback", data=sent), 400)
    assert len(api.get("rollouts").json()["rollouts"]) == 1


def test_json_counts_as_json_whatever_it_calls_itself(api: Api) -> None:
    add_moving(api.deps)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.post(f"services/{SERVICE}/rollback", data='{"to": 1}', headers=form).json()["requested"] == 1


@pytest.mark.parametrize(
    ("body", "field"), [({"too": 1}, "too"), ({"to": "1"}, "to"), ({"to": 0}, "to"), ({"to": True}, "to")]
)
def test_an_invalid_request_names_the_field(api: Api, body: dict, field: str) -> None:
    add_moving(api.deps)
    problem = assert_problem(api.post(f"services/{SERVICE}/rollback", json=body), 422)
    assert problem["field"] == field
    assert [e["field"] for e in problem["errors"]] == [field]


def test_a_deploy_is_taken_in_while_the_swarm_is_away_if_it_names_its_image(api: Api) -> None:
    answer = api.post(f"services/{SERVICE}/deploy", json={"image": "reg:5000/web:3"})
    assert answer.status_code == 202
    assert answer.json()["image"] == "reg:5000/web:3"
    assert answer.headers["Location"].endswith(answer.json()["id"])
    assert_problem(api.post(f"services/{SERVICE}/deploy"), 400, "the swarm cannot be asked now")


def test_a_name_that_is_no_image_is_refused(api: Api) -> None:
    problem = assert_problem(api.post(f"services/{SERVICE}/deploy", json={"image": "Reg/Web:"}), 400)
    assert problem["field"] == "image"


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    assert_problem(api.post(f"services/{SERVICE}/deploy", data=b" " * 100_000), 413)


# -- looking -------------------------------------------------------------------------------------------------


def test_a_swarm_that_is_away_is_said_to_be(api: Api) -> None:
    for path in ("services", f"services/{SERVICE}", "nodes"):
        answer = api.get(path)
        assert_problem(answer, 503, "no swarm manager answers")
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_rollout_is_answered_with_plan_steps_gates_and_readings(api: Api) -> None:
    add_moving(api.deps)
    add_reading(api.deps)
    api.deps.store.set_evidence("r-1", "task t2\nerror: boom")
    rollout = api.get("rollouts/r-1").json()
    assert rollout["service"] == SERVICE
    assert (rollout["from_release"], rollout["to_release"]) == (1, 2)
    assert rollout["from_image"].startswith("reg:5000/web:1@sha256:aaa")
    assert rollout["to_image"].startswith("reg:5000/web:1@sha256:bbb")
    assert rollout["notes"] == ["the delay was raised"]
    assert [g["name"] for g in rollout["gates"]] == ["http"]
    assert [(s["node"], s["state"]) for s in rollout["steps"]] == [("node1", "passed"), ("node2", "waiting")]
    assert [(r["gate"], r["verdict"]) for r in rollout["readings"]] == [("http", "pass")]
    assert rollout["evidence"].endswith("boom")
    assert rollout["ended"] is False
    assert_problem(api.get("rollouts/r-none"), 404, "no rollout 'r-none'")


def test_rollouts_are_listed_newest_first_and_by_service(api: Api) -> None:
    add_moving(api.deps, "r-1")
    end(api.deps, "r-1")
    add_moving(api.deps, "r-2", "other")
    ids = lambda path: [r["id"] for r in api.get(path).json()["rollouts"]]  # noqa: E731
    assert ids("rollouts") == ["r-2", "r-1"]
    assert ids(f"rollouts?service={SERVICE}") == ["r-1"]
    assert ids("rollouts?active=true") == ["r-2"]
    assert ids("rollouts?limit=1") == ["r-2"]
    assert_problem(api.get("rollouts?limit=0"), 422, "limit")
    assert_problem(api.get("rollouts?servce=x"), 422, "servce", "no such field")


def test_releases_are_listed_without_their_specs(api: Api) -> None:
    add_moving(api.deps)
    found = api.get(f"services/{SERVICE}/releases").json()["releases"]
    assert [(r["number"], r["state"]) for r in found] == [(2, "new"), (1, "good")]
    assert "spec" not in found[0]


def test_a_delivery_is_answered_with_what_it_led_to_and_can_be_replayed(api: Api) -> None:
    delivery = add_delivery(api.deps)
    event = api.get(f"deliveries/{delivery}").json()["events"][0]
    assert (event["kind"], event["done_at"]) == ("image_pushed", None)
    api.deps.store.finish_event(event["id"], "no service runs it", api.deps.clock.now())
    assert api.get(f"deliveries/{delivery}").json()["events"][0]["outcome"] == "no service runs it"
    answer = api.post(f"deliveries/{delivery}/replay")
    assert (answer.status_code, answer.json()["events"]) == (202, 1)
    assert api.get(answer.headers["Location"]).ok
    assert_problem(api.post("deliveries/d-none/replay"), 404)
    (note,) = api.deps.store.audit(subject=delivery)
    assert (note.who, note.what) == ("api:tester", "replay")
    assert note.detail in [e["id"] for e in api.get(f"deliveries/{delivery}").json()["events"]]
    assert_problem(api.get("deliveries/d-none"), 404)


def test_deliveries_are_listed_page_by_page(api: Api) -> None:
    made = [add_delivery(api.deps, f"key-{n}") for n in range(3)]
    listed = [d["id"] for d in api.get("deliveries").json()["deliveries"]]
    assert set(listed) == set(made)
    assert [d["id"] for d in api.get(f"deliveries?before={listed[0]}").json()["deliveries"]] == listed[1:]


def test_a_delivery_is_answered_with_what_became_of_its_build(api: Api) -> None:
    delivery = add_pushed(api.deps)
    assert api.get(f"deliveries/{delivery}").json()["state"] == "waiting"
    add_build(api.deps, delivery=delivery)
    assert api.get("deliveries?state=waiting").json()["deliveries"][0]["id"] == delivery
    end_build(api.deps, state=BuildState.FAILED, error="step 2: exit code 1\nno rule")
    (listed,) = api.get("deliveries?state=failed").json()["deliveries"]
    build = {"id": "b-1", "name": "web", "state": "failed"}
    assert (listed["state"], listed["builds"]) == ("failed", [{**build, "error": "step 2: exit code 1"}])
    one = api.get(f"deliveries/{delivery}").json()
    assert (one["state"], one["builds"]) == ("failed", [{**build, "error": "step 2: exit code 1\nno rule"}])
    assert api.get("deliveries?state=handled").json()["deliveries"] == []
    assert_problem(api.get("deliveries?state=fine"), 422)


def test_a_build_log_is_read_on_from_where_it_was_left(api: Api) -> None:
    add_build(api.deps)
    api.deps.store.append_build_log("b-1", "Step 1\n")
    first = api.get("builds/b-1/log")
    assert (first.text, first.headers["Content-Type"]) == ("Step 1\n", "text/plain; charset=utf-8")
    api.deps.store.append_build_log("b-1", "Step 2: ünï\n")
    more = api.get(f"builds/b-1/log?after={first.headers['Nodewise-Log-Next']}")
    assert more.content.decode() == "Step 2: ünï\n"
    assert api.get("builds").json()["builds"][0]["id"] == "b-1"
    assert_problem(api.get("builds/b-none/log"), 404)


def test_no_answer_carries_what_may_be_secret(api: Api) -> None:
    add_moving(api.deps)
    add_build(api.deps)
    delivery = add_delivery(api.deps)
    paths = ("rollouts", "rollouts/r-1", f"services/{SERVICE}/releases", "builds", "builds/b-1")
    for path in (*paths, "deliveries", f"deliveries/{delivery}"):
        text = api.get(path).text
        assert SECRET not in text, path
        assert "hunter2" not in text, path


# -- health and metrics ------------------------------------------------------------------------------------------


def test_readiness_tells_of_everything_and_depends_on_the_store_alone(api: Api) -> None:
    assert api.get("/healthz", token="").json() == {"status": "alive"}
    ready = api.get("/readyz", token="")
    assert ready.status_code == 200
    checks = ready.json()["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == {
        "store": True,
        "worker": False,
        "outbox": True,
        "swarm": False,
    }
    assert "no-engine.sock" not in ready.text
    api.deps.store.beat("worker", api.deps.clock.now())
    assert api.get("/readyz", token="").json()["checks"]["worker"]["ok"] is True


def test_without_its_store_the_process_is_alive_and_not_ready(api: Api) -> None:
    api.deps.store.dispose()
    shutil.rmtree(api.deps.settings.data_dir)
    ready = api.get("/readyz", token="")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert api.get("/healthz", token="").ok
    assert_problem(api.get("rollouts"), 503, "the database does not answer")


def test_metrics_are_read_from_the_store_and_not_by_everybody(api: Api) -> None:
    assert_problem(api.get("/metrics", token=""), 401)
    add_moving(api.deps)
    add_delivery(api.deps)
    api.deps.store.count_rejected("git", "main", "bad signature", api.deps.clock.now())
    lines = api.get("/metrics").text.splitlines()
    assert 'nodewise_deliveries_total{provider="distribution",verdict="accepted"} 1.0' in lines
    assert 'nodewise_deliveries_rejected_total{hook="main",provider="git",reason="bad signature"} 1.0' in lines
    assert 'nodewise_rollouts{phase="moving"} 1.0' in lines
    assert 'nodewise_rollouts{phase="failed"} 0.0' in lines
    assert any(line.startswith("nodewise_outbox_jobs ") for line in lines)


# -- errors ----------------------------------------------------------------------------------------------------------


def test_what_flask_refuses_is_a_problem_too(api: Api) -> None:
    assert_problem(api.get("nothing"), 404)
    answer = api.post("rollouts")
    assert_problem(answer, 405)
    assert "GET" in answer.headers["Allow"]


def test_an_error_of_our_own_is_answered_without_its_stack(api: Api) -> None:
    app = create_api_app(api.deps)

    @app.route("/broken")
    def broken() -> str:
        raise RuntimeError("the secret of the stack")

    with serving(app) as url:
        answer = requests.get(f"{url}/broken", timeout=60)
    problem = assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "log" in problem["hint"]
