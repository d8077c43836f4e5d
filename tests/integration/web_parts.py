"""A real store, a real API on a real port, and things on record to ask about. The swarm is away unless said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result
from werkzeug.serving import WSGIRequestHandler, make_server

from nodewise import tokens
from nodewise.bootstrap import Deps, build_deps
from nodewise.config.settings import load_settings
from nodewise.domain.build import Build, BuildState
from nodewise.domain.delivery import NewDelivery, Verdict
from nodewise.domain.events import CodePushed, ImagePushed
from nodewise.domain.recipe import Recipe
from nodewise.domain.release import Release, ReleaseState
from nodewise.domain.rollout import Kind, Phase, Plan, Rollout
from nodewise.domain.steps import GatePlan, Reading, Step, StepState, Streak
from nodewise.domain.steps import Verdict as GateVerdict
from nodewise.ports import Engine
from nodewise.web.api import create_api_app
from tests.product import free_port
from tests.unit.swarm_values import NEW, OLD, spec

SECRET = "environment-of-the-service"  # stands in every spec, and must stand in no answer
SERVICE = "shop.web_1-a"

Run = Callable[..., Result]


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # chunked answers, as granian gives them

    def log_request(self, *_: object, **__: object) -> None:
        """Quiet."""


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """*app* on a thread of its own. Gives its address."""
    server = make_server("127.0.0.1", port or free_port(), app, threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def settings_in(folder: Path, patch: pytest.MonkeyPatch, port: int, **env: str) -> None:
    """The environment of a Nodewise on its own data, whose swarm is away."""
    for name in ("NODEWISE_URL", "NODEWISE_TOKEN", "NODEWISE_CONFIG"):
        patch.delenv(name, raising=False)
    patch.setenv("NODEWISE_DATA_DIR", str(folder / "data"))
    patch.setenv("NODEWISE_DOCKER_HOSTS", f"unix://{folder}/no-engine.sock")
    patch.setenv("NODEWISE_LISTEN", f"127.0.0.1:{port}")
    for name, value in env.items():
        patch.setenv(name, value)


def open_deps() -> Deps:
    deps = build_deps(load_settings())
    deps.store.migrate()
    return deps


class Api:
    """The API as its callers see it, and the Deps behind it."""

    def __init__(self, deps: Deps, url: str) -> None:
        self.deps = deps
        self.url = url
        self.token = tokens.create(deps, "tester", ["admin"], "test")

    def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> requests.Response:
        token = self.token if token is None else token
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        url = f"{self.url}{path}" if path.startswith("/") else f"{self.url}/api/v1/{path}"
        return requests.request(method, url, headers=headers, timeout=60, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.ask("POST", path, **options)


@contextmanager
def open_api(folder: Path, patch: pytest.MonkeyPatch, engine: Engine | None = None) -> Iterator[Api]:
    """*engine*: a swarm to ask; without one it is away."""
    port = free_port()
    settings_in(folder, patch, port)
    deps = open_deps()
    deps = deps if engine is None else replace(deps, engine=engine)
    with serving(create_api_app(deps), port) as url:
        yield Api(deps, url)
    deps.store.close()


def assert_problem(answer: requests.Response, status: int, *words: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    for word in words:
        assert word in answer.text
    return body


# -- things on record ------------------------------------------------------------------------------------


def secret_spec(digest: str) -> dict[str, Any]:
    made = spec(digest)
    made["TaskTemplate"]["ContainerSpec"]["Env"] = [f"PASSWORD={SECRET}"]
    return made


def release(number: int, digest: str = OLD, state: ReleaseState = ReleaseState.GOOD, service: str = SERVICE) -> Release:
    return Release(
        service, number, f"reg:5000/web:{number}@{digest}", digest, secret_spec(digest), "test", state, 100.0
    )


def plan() -> Plan:
    return Plan(
        strategy="rolling",
        base=secret_spec(OLD),
        base_print="print",
        base_mark="",
        target=secret_spec(NEW),
        gates=(GatePlan("http", 1.0, 3, 2, {"url": "http://{node}:8080/"}),),
        notes=("the delay was raised",),
    )


def add_moving(
    deps: Deps, rollout_id: str = "r-1", service: str = SERVICE, numbers: tuple[int, int] = (1, 2)
) -> Rollout:
    """A rollout in the middle, between two releases that are on record."""
    now = deps.clock.now()
    pending = Rollout(rollout_id, service, Kind.DEPLOY, Phase.PENDING, "test", now, image="reg:5000/web:2")
    deps.store.add_rollout(pending, now, "test")
    steps = (
        Step("n1", "node1", StepState.PASSED, now, ("t1",), (Streak("http", 3, 0, now, "200", True),)),
        Step("n2", "node2", StepState.WAITING),
    )
    stored = deps.store.rollout(rollout_id)
    assert stored is not None
    moving = replace(
        stored,
        phase=Phase.MOVING,
        plan=plan(),
        steps=steps,
        service_id="s1",
        from_number=numbers[0],
        to_number=numbers[1],
        started_at=now,
        deadline_at=now + 60,
    )
    releases = [release(numbers[0], OLD, service=service), release(numbers[1], NEW, ReleaseState.NEW, service)]
    deps.store.save_rollouts([moving], now, releases=releases)
    return moving


def change(deps: Deps, rollout_id: str, **changes: Any) -> None:
    """Save the rollout with *changes*."""
    stored = deps.store.rollout(rollout_id)
    assert stored is not None
    deps.store.save_rollouts([replace(stored, **changes)], deps.clock.now())


def end(deps: Deps, rollout_id: str, phase: Phase = Phase.SUCCEEDED, **changes: Any) -> None:
    change(deps, rollout_id, phase=phase, ended_at=deps.clock.now(), **changes)


def add_reading(deps: Deps, rollout_id: str = "r-1") -> None:
    deps.store.add_readings(rollout_id, [Reading("http", "n1", GateVerdict.PASS, "200", deps.clock.now(), "t1")])


def add_delivery(deps: Deps, key: str = "delivery-1") -> str:
    event = ImagePushed("reg:5000/web", "2", NEW)
    new = NewDelivery("distribution", "main", key, Verdict.ACCEPTED, SECRET.encode(), (event,), note="one tag")
    return deps.store.accept(new, deps.clock.now()).delivery_id


CODE = CodePushed("https://git.example.org/web.git", "refs/heads/main", "c" * 40)


def add_pushed(deps: Deps) -> str:
    """A push to git that was delivered."""
    new = NewDelivery("git", "git", "push-1", Verdict.ACCEPTED, b"push", (CODE,))
    return deps.store.accept(new, deps.clock.now()).delivery_id


def add_build(deps: Deps, build_id: str = "b-1", delivery: str = "") -> None:
    """A build that runs, from a push: that *delivery*'s where one is named."""
    if delivery:
        event_id = deps.store.delivery_events(delivery)[0].id
    else:
        event_id, _ = deps.store.add_event(CODE, "test", deps.clock.now())
    build = Build(
        id=build_id,
        name="web",
        repository="https://user:hunter2@git.example.org/web.git",
        ref="refs/heads/main",
        commit="c" * 40,
        image="reg:5000/web:2",
        state=BuildState.BUILDING,
        created_at=deps.clock.now(),
        event_id=event_id,
        recipe=Recipe(args={"TOKEN": SECRET}),
    )
    deps.store.finish_event(event_id, f"build {build_id}", deps.clock.now(), builds=[build])


def change_build(deps: Deps, build_id: str = "b-1", **changes: Any) -> None:
    """Save the build with *changes*."""
    stored = deps.store.build(build_id)
    assert stored is not None
    deps.store.save_build(replace(stored, **changes), deps.clock.now())


def end_build(deps: Deps, build_id: str = "b-1", state: BuildState = BuildState.PUSHED, **changes: Any) -> None:
    now = deps.clock.now()
    digest = NEW if state is BuildState.PUSHED else ""
    change_build(deps, build_id, state=state, **{"started_at": now - 12, "ended_at": now, "digest": digest, **changes})
