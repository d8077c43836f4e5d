"""The receiver over a real port, on a real store; pushes come from real git through the shipped hook."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
import yaml

from nodewise.bootstrap import Deps
from nodewise.domain.events import CodePushed
from nodewise.domain.jobs import Verb
from tests.gitrepo import Repository
from tests.integration.web_parts import open_deps, serving, settings_in
from tests.product import free_port
from tests.simulated.stage import signed
from workers.web import make_web_app

pytestmark = pytest.mark.seconds(10)

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "webhooks"
PUSH = (DATA / "distribution" / "push.json").read_bytes()
SECRET = "the-secret-of-this-hook"
BEARER = {"Authorization": f"Bearer {SECRET}"}


class Receiver:
    def __init__(self, deps: Deps, url: str, folder: Path) -> None:
        self.deps, self.url, self.folder = deps, url, folder

    def post(self, path: str, body: bytes, **headers: str) -> requests.Response:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return requests.post(f"{self.url}/hooks/{path}", data=body, headers=named, timeout=60)

    def push_code(self, delivery: str, secret: str) -> requests.Response:
        """What the shipped post-receive hook sends."""
        body = (DATA / "git" / "push.json").read_bytes()
        headers = signed(delivery, int(time.time()), body, secret)
        return requests.post(f"{self.url}/hooks/git", data=body, headers=headers, timeout=60)

    def stored(self) -> int:
        return len(self.deps.store.deliveries())


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    (tmp_path / "secret").write_text(SECRET + "\n")
    hooks = {
        "distribution": {"provider": "distribution", "secrets": [SECRET]},
        "git": {"provider": "git", "secrets_files": [str(tmp_path / "secret")]},
        "shop": {"provider": "github", "secrets": ["new", SECRET]},
    }
    (tmp_path / "nodewise.yaml").write_text(yaml.safe_dump({"hooks": hooks}))
    port = free_port()
    settings_in(tmp_path, monkeypatch, port)
    monkeypatch.setenv("NODEWISE_CONFIG", str(tmp_path / "nodewise.yaml"))
    monkeypatch.setenv("NODEWISE_MAX_BODY_BYTES", "20000")
    deps = open_deps()
    with serving(make_web_app(deps), port) as url:
        yield Receiver(deps, url, tmp_path)
    deps.store.close()


def test_a_delivery_is_stored_with_its_job_and_answered_with_its_address(receiver):
    answer = receiver.post("distribution", PUSH, **BEARER)
    assert answer.status_code == 202
    found = answer.json()
    assert (found["verdict"], found["events"]) == ("accepted", 1)
    assert answer.headers["Location"] == f"/api/v1/deliveries/{found['delivery']}"
    (event,) = receiver.deps.store.delivery_events(found["delivery"])
    assert receiver.deps.store.delivery_body(found["delivery"]) == PUSH
    later = receiver.deps.clock.now() + 60
    assert [(j.verb, j.subject) for j, _ in receiver.deps.store.due_jobs(later, 10)] == [(Verb.PLAN, event.id)]


def test_a_delivery_seen_before_answers_200_and_starts_nothing(receiver):
    first = receiver.post("distribution", PUSH, **BEARER)
    again = receiver.post("distribution", PUSH, **BEARER)
    assert (again.status_code, again.json()["events"]) == (200, 0)
    assert again.headers["Location"] == first.headers["Location"]
    assert receiver.stored() == 1
    assert receiver.deps.store.outbox_size() == 1


def test_deliveries_whose_ids_share_their_first_two_hundred_characters_are_two(receiver):
    answers = [receiver.push_code("i" * 200 + end, SECRET) for end in ("1", "2", "2")]
    assert [a.status_code for a in answers] == [202, 202, 200]
    assert receiver.stored() == 2


def test_a_captured_body_under_a_new_id_starts_nothing(receiver):
    body = (DATA / "github" / "push.json").read_bytes()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X_Hub_Signature_256": signature, "X_GitHub_Event": "push"}
    assert receiver.post("github/shop", body, X_GitHub_Delivery="1", **headers).status_code == 202
    assert receiver.post("github/shop", body, X_GitHub_Delivery="2", **headers).status_code == 200
    assert receiver.stored() == 1
    ping = {"X_Hub_Signature_256": signature, "X_GitHub_Event": "ping", "X_GitHub_Delivery": "3"}
    assert receiver.post("github/shop", body, **ping).status_code == 200


def test_of_a_bad_signature_only_a_count_is_kept(receiver):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer wrong"}):
        answer = receiver.post("distribution", b"spoof", **headers)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert receiver.stored() == 0
    counts = {(r.provider, r.hook, r.reason): r.count for r in receiver.deps.store.rejected()}
    assert counts == {
        ("distribution", "distribution", "no credentials"): 1,
        ("distribution", "distribution", "wrong credentials"): 2,
    }


def test_the_provider_is_the_hooks_and_not_the_senders_choice(receiver):
    for path in ("gitlab", "distribution/shop", "github", "git/distribution"):
        answer = receiver.post(path, PUSH, **BEARER)
        assert (answer.status_code, answer.json()["title"]) == (404, "Not Found"), path
    assert receiver.stored() == 0


def test_a_body_that_should_be_understood_and_is_not_answers_400_naming_the_field(receiver):
    body = b'{"ref": "refs/heads/main"}'
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    answer = receiver.post("github/shop", body, X_Hub_Signature_256=signature, X_GitHub_Event="push")
    assert answer.status_code == 400
    assert (answer.json()["detail"], answer.json()["field"]) == ("after is missing", "after")
    assert receiver.stored() == 0


def test_a_registry_is_never_jammed_by_what_it_sends(receiver):
    answer = receiver.post("distribution", b"no json", **BEARER)
    assert (answer.status_code, answer.json()["verdict"]) == (202, "unusable")
    assert receiver.stored() == 1
    assert receiver.deps.store.outbox_size() == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(receiver, chunked):
    large = b"x" * 20001
    data = iter([large[:10000], large[10000:]]) if chunked else large
    answer = requests.post(f"{receiver.url}/hooks/distribution", data=data, headers=BEARER, timeout=60)
    assert answer.status_code == 413
    assert "20000 bytes" in answer.json()["detail"]
    assert receiver.stored() == 0
    assert receiver.deps.store.rejected() == []


def test_a_secret_in_a_file_is_rotated_without_a_restart(receiver):
    old, new = SECRET, "another-secret-of-this-hook"
    assert receiver.push_code("1", old).status_code == 202
    (receiver.folder / "secret").write_text(new)
    assert receiver.push_code("2", old).status_code == 401
    assert receiver.push_code("3", new).status_code == 202


def test_a_secret_whose_file_is_missing_is_no_open_door(receiver):
    (receiver.folder / "secret").unlink()
    answer = receiver.post("git", b"{}", webhook_id="1", webhook_timestamp="1", webhook_signature="v1,x")
    assert answer.status_code == 503
    assert str(receiver.folder) not in answer.text


def test_two_at_once_are_stored_once(receiver):
    statuses: list[int] = []

    def post() -> None:
        statuses.append(receiver.post("distribution", PUSH, **BEARER).status_code)

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [202]


# -- real git through the shipped hook -----------------------------------------------------------------


@pytest.fixture
def repository(receiver: Receiver, tmp_path: Path) -> Repository:
    return Repository(tmp_path / "shop.git", tmp_path / "clone", f"{receiver.url}/hooks/git", tmp_path / "secret")


def events(receiver: Receiver) -> list[CodePushed]:
    return [e.event for d in receiver.deps.store.deliveries() for e in receiver.deps.store.delivery_events(d.id)]


def test_a_git_push_arrives_with_branch_and_annotated_tag_as_the_same_commit(receiver, repository):
    commit = repository.commit("Sell hats")
    repository.git("tag", "-a", "v1.0.0", "-m", "the first")
    said = repository.git("push", "origin", "main", "v1.0.0")
    assert "nodewise: d-" in said
    assert "accepted" in said
    found = {e.ref: e for e in events(receiver)}
    assert {e.commit for e in found.values()} == {commit}
    assert set(found) == {"refs/heads/main", "refs/tags/v1.0.0"}
    assert found["refs/heads/main"].message == "Sell hats"
    assert found["refs/heads/main"].repository == str(repository.bare)


def test_a_deleted_branch_is_told_and_starts_nothing(receiver, repository):
    repository.commit("one")
    repository.git("push", "origin", "main", "main:refs/heads/side")
    said = repository.git("push", "origin", ":refs/heads/side")
    assert "ignored" in said


def test_a_wrong_secret_is_said_on_the_pushers_terminal_and_the_push_stands(receiver, repository, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    repository.configure("nodewise.secretFile", str(tmp_path / "wrong"))
    commit = repository.commit("one")
    said = repository.git("push", "origin", "main")
    assert "refused with 401" in said
    assert repository.git("ls-remote", "origin", "main").startswith(commit)
    assert events(receiver) == []


def test_a_receiver_that_fails_at_first_is_tried_again_with_the_same_id(repository):
    ids: list[str] = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            ids.append(self.headers["webhook-id"])
            answer = json.dumps({"delivery": "d-1", "verdict": "accepted", "note": ""}).encode()
            self.send_response(503 if len(ids) < 3 else 202)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        repository.configure("nodewise.url", f"http://127.0.0.1:{server.server_port}/hooks/git")
        repository.commit("one")
        assert "nodewise: d-1 accepted" in repository.git("push", "origin", "main")
        assert len(ids) == 3
        assert len(set(ids)) == 1
    finally:
        server.shutdown()
        server.server_close()
