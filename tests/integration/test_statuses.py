"""Git servers and people are told over real connections, to a local server that stands for them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodewise.adapters.channels import channels
from nodewise.bootstrap import build_deps
from nodewise.config.settings import Settings
from nodewise.domain.build import Build, BuildState
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.events import CodePushed
from nodewise.domain.jobs import Job, Verb
from nodewise.domain.rollout import Phase
from nodewise.domain.telling import of_rollout
from nodewise.domain.told import Commit, Told
from nodewise.ports import Channel
from tasks.perform import run
from tests.product import free_port
from tests.unit.swarm_values import NEW, rollout

TOKEN = "token-of-the-git-server"
COMMIT = "c" * 40
PATHS = {
    "github": ["/repos/acme/shop/deployments", "/repos/acme/shop/deployments/7/statuses"],
    "gitlab": [f"/projects/acme%2Fshop/statuses/{COMMIT}"],
    "gitea": [f"/repos/acme/shop/statuses/{COMMIT}"],
    "bitbucket": [f"/repositories/acme/shop/commit/{COMMIT}/statuses/build"],
}


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=lambda: {"id": 7})


class Server(ThreadingHTTPServer):
    """Writes down what it is asked, and gives the answer that it was told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.answer = Answer()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(Received(self.path, dict(self.headers), body))
        answer = self.server.answer
        text = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made
        made.shutdown()


def channel(folder: Path, **data: Any) -> Channel:
    """The only channel of that configuration."""
    path = folder / "nodewise.yaml"
    path.write_text(yaml.safe_dump(data))
    (made,) = channels(Settings(data_dir=folder, config=path, public_url="https://n.test"))
    return made


def status_channel(folder: Path, url: str, kind: str = "gitea") -> Channel:
    place = {"kind": kind, "url": url, "token": TOKEN, "repositories": ["https://git.test/acme/*"]}
    return channel(folder, statuses={"place": place})


def told(phase: Phase = Phase.SUCCEEDED, repository: str = "git@git.test:acme/shop.git", **changes: Any) -> Told:
    return of_rollout(rollout(phase, **changes), Commit(repository, COMMIT))


@pytest.mark.parametrize("kind", PATHS)
def test_each_server_is_sent_what_its_api_asks_for(kind: str, server: Server, tmp_path: Path):
    made = status_channel(tmp_path, server.url, kind)
    kept = made.tell(told(), "")
    if kept:
        assert made.tell(told(), kept) == ""
    assert [r.path for r in server.received] == PATHS[kind]
    last = server.received[-1]
    assert last.body["state"].lower() in ("success", "successful")
    assert "https://n.test/api/v1/rollouts/r-1" in last.body.values()
    assert any(TOKEN in value for value in last.headers.values())


def test_a_server_is_told_of_commits_of_its_own_repositories_alone(server: Server, tmp_path: Path):
    made = status_channel(tmp_path, server.url)
    assert made.wants(told())
    assert made.wants(told(repository="https://me:secret@git.test/acme/other"))
    assert not made.wants(told(repository="https://git.test/else/shop"))
    assert not made.wants(of_rollout(rollout()))


@pytest.mark.parametrize(
    ("answer", "delay"),
    [
        (Answer(429, {"Retry-After": "120"}), 120.0),
        (Answer(429), 60.0),
        (Answer(403, {"X-RateLimit-Remaining": "0"}), 60.0),
        (Answer(503, {"Retry-After": "9999999"}), 3600.0),
        (Answer(500), 1.0),
    ],
    ids=["429, so many seconds", "429", "403, the rate limit", "503, far too many seconds", "500"],
)
def test_a_server_that_cannot_now_is_told_later(answer: Answer, delay: float, server: Server, tmp_path: Path):
    server.answer = answer
    with pytest.raises(RetryLater, match=f"statuses.place: .* answered {answer.status}") as error:
        status_channel(tmp_path, server.url).tell(told(), "")
    assert error.value.delay == delay
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize(
    "answer", [Answer(401), Answer(403), Answer(404), Answer(422), Answer(302, {"Location": "/x"})], ids=str
)
def test_a_server_that_refuses_or_redirects_is_given_up(answer: Answer, server: Server, tmp_path: Path):
    server.answer = answer
    with pytest.raises(GiveUp, match=f"answered {answer.status}") as error:
        status_channel(tmp_path, server.url).tell(told(), "")
    assert TOKEN not in str(error.value)
    assert len(server.received) == 1


def test_gitlab_saying_that_it_is_so_already_is_no_error(server: Server, tmp_path: Path):
    server.answer = Answer(400, body={"message": "Cannot transition status via :run from :running"})
    status_channel(tmp_path, server.url, "gitlab").tell(told(Phase.MOVING), "")
    with pytest.raises(GiveUp):
        status_channel(tmp_path, server.url, "gitea").tell(told(Phase.MOVING), "")


def test_a_server_that_does_not_answer_is_told_later(tmp_path: Path):
    with pytest.raises(RetryLater, match=r"statuses\.place: .* does not answer"):
        status_channel(tmp_path, f"http://127.0.0.1:{free_port()}").tell(told(), "")


def test_a_login_of_the_machine_does_not_take_the_tokens_place(server: Server, tmp_path: Path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    status_channel(tmp_path, server.url).tell(told(), "")
    assert server.received[0].headers["Authorization"] == f"token {TOKEN}"


def test_what_becomes_of_a_rollout_is_told_where_its_image_was_built_from(server: Server, tmp_path: Path):
    config = tmp_path / "nodewise.yaml"
    place = {"kind": "github", "url": server.url, "token": TOKEN, "repositories": "git.test/*/*"}
    config.write_text(yaml.safe_dump({"statuses": {"hub": place}}))
    deps = build_deps(Settings(data_dir=tmp_path, config=config))
    deps.store.migrate()
    now = deps.clock.now()
    address = "https://git.test/acme/shop.git"
    build = Build("b-1", "shop", address, "refs/heads/main", COMMIT, "reg/shop:1", BuildState.PUSHED, now, digest=NEW)
    event_id, _ = deps.store.add_event(CodePushed(address, build.ref, COMMIT), "test", now)
    deps.store.finish_event(event_id, "", now, builds=[build])
    deps.store.add_rollout(rollout(Phase.PENDING, plan=None, steps=(), image=f"reg/web:2@{NEW}"), now, "test")
    for subject in ("b-1", "r-1", "r-1"):
        deps.store.put_jobs([Job(Verb.TELL, subject)], now)
        run(deps, Job(Verb.TELL, subject))
    assert [r.path for r in server.received] == [f"/repos/acme/shop/statuses/{COMMIT}", *PATHS["github"]]
    assert [r.body.get("state") for r in server.received] == ["success", None, "queued"]
    assert deps.store.told("r-1")["statuses.hub"].kept == "7"
    deps.store.close()


def people(folder: Path, url: str, **more: Any) -> Channel:
    return channel(folder, notifications=[{"url": url, **more}])


def test_people_are_told_through_apprise_in_their_own_words(server: Server, tmp_path: Path):
    url = f"json://127.0.0.1:{server.server_address[1]}/inbox"
    made = people(tmp_path, url, title="{service} {state}", body="{image} by {who}: {reason}\n{link}")
    assert made.tell(told(Phase.ROLLED_BACK, reason="<b>404 & more</b>"), "") == ""
    (got,) = server.received
    assert got.path == "/inbox"
    assert (got.body["title"], got.body["type"]) == ("web rolled back", "failure")
    link = "https://n.test/api/v1/rollouts/r-1"
    assert got.body["message"] == f"reg:5000/web:1 by test: <b>404 & more</b>\n{link}"


def test_without_templates_people_get_a_title_a_paragraph_and_the_link(server: Server, tmp_path: Path):
    people(tmp_path, f"json://127.0.0.1:{server.server_address[1]}").tell(told(), "")
    (got,) = server.received
    assert got.body["title"] == "web: rollout succeeded"
    assert got.body["message"] == f"{told().text}\nhttps://n.test/api/v1/rollouts/r-1"


@pytest.mark.parametrize("answer", [Answer(500), Answer(302, {"Location": "/else"})], ids=str)
def test_a_service_that_does_not_take_it_is_told_later_and_its_url_is_nowhere(
    answer: Answer, server: Server, tmp_path: Path, caplog, capfd
):
    server.answer = answer
    secret = "hunter2"
    made = people(tmp_path, f"json://me:{secret}@127.0.0.1:{server.server_address[1]}/{secret}?+X-Key={secret}")
    talkative = caplog.at_level(logging.DEBUG, logger="apprise")
    with talkative, pytest.raises(RetryLater, match=r"^notifications\.0: it was not taken$"):
        made.tell(told(), "")
    assert len(server.received) == 1
    out, err = capfd.readouterr()
    assert caplog.records == []
    assert secret not in out + err


@pytest.mark.parametrize("url", ["nothing://hunter2", "slack://hunter2"])
def test_a_url_that_apprise_does_not_know_is_given_up_and_not_told(url: str, tmp_path: Path, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(GiveUp, match=r"notifications\.0: its URL") as error:
        people(tmp_path, url).tell(told(), "")
    assert "hunter2" not in str(error.value) + caplog.text


def test_people_hear_of_the_services_and_states_that_they_asked_for(tmp_path: Path):
    made = people(tmp_path, "json://host", services=["web", "shop-*"], on="failed")
    assert made.wants(told(Phase.FAILED))
    assert not made.wants(told(Phase.SUCCEEDED))
    assert made.wants(told(Phase.FAILED, service="shop-1"))
    assert not made.wants(told(Phase.FAILED, service="shop"))


def test_apprise_is_not_imported_before_something_is_told():
    code = "import sys, workers.web, workers.runner, tasks.tell; print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
