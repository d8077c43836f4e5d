"""Indexes of several platforms put under a name: on a real registry, and on one that answers as it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from nodewise.adapters.registry.index import DOCKER_LIST, digest_of
from nodewise.adapters.registry.oci import OciRegistry
from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.domain.images import ImageName
from tests.integration.gate_parts import need
from tests.integration.registry_parts import (
    BASIC,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    Asked,
    Reply,
    Scripted,
    asking,
    image,
    push,
    push_index,
    real_registry,
    scripted,
    told,
)
from tests.integration.swarm_parts import LOGIN, private_registry
from tests.lab.registry import BINARY

AMD, ARM = "linux/amd64", "linux/arm/v7"
PART = b'{"schemaVersion": 2}'
PARTS = {AMD: digest_of(PART), ARM: digest_of(PART)}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def there(name: ImageName, kind: str) -> dict[str, Any]:
    """What the registry gives out to who can read *kind*."""
    url = f"http://{name.registry}/v2/{name.path}/manifests/{name.tag}"
    answer = requests.get(url, headers={"Accept": kind}, timeout=20)
    assert answer.headers["Content-Type"] == kind
    return answer.json()


@pytest.mark.parametrize(("kind", "whole"), [(MANIFEST, INDEX), (DOCKER_MANIFEST, DOCKER_LIST)])
def test_an_index_is_put_under_the_name_and_is_the_same_when_it_is_put_again(real: str, kind: str, whole: str):
    path = f"team/{kind.split('.')[1]}"
    parts = {p: push(real, path, p.replace("/", "-"), content=p, kind=kind) for p in (ARM, AMD)}
    registry, name = asking(), image(real, path=path)
    digest = registry.index(name, parts)
    assert registry.digest(name) == digest == registry.index(name, parts)
    assert digest != registry.index(name, dict(reversed(parts.items())))
    registry.index(name, parts)
    said = there(name, whole)
    assert [m["digest"] for m in said["manifests"]] == list(parts.values())
    assert [m["platform"].get("variant") for m in said["manifests"]] == ["v7", None]
    assert {m["mediaType"] for m in said["manifests"]} == {kind}


def test_of_an_index_that_an_engine_has_pushed_the_images_are_in_the_new_one(real: str):
    inner = push(real, "team/nested", "inner")
    parts = {ARM: push(real, "team/nested", "arm", content="arm"), AMD: push_index(real, "team/nested", "amd", inner)}
    name = image(real, path="team/nested")
    asking().index(name, parts)
    assert [m["digest"] for m in there(name, INDEX)["manifests"]] == [parts[ARM], inner]


def test_a_part_that_is_not_there_yet_is_waited_for_and_no_index_is_put(real: str):
    parts = {AMD: push(real, "team/late", "amd"), ARM: "sha256:" + "0" * 64}
    name = image(real, path="team/late")
    assert f"the part of {name} for {ARM}" in told(lambda: asking().index(name, parts), RetryLater)
    told(lambda: asking().digest(name), NotFound)


def test_an_index_goes_by_its_digest_and_its_images_stay(real: str):
    parts = {p: push(real, "team/old", p.replace("/", "-"), content=p) for p in (AMD, ARM)}
    registry, name = asking(), image(real, path="team/old")
    registry.remove(name.pinned(registry.index(name, parts)))
    told(lambda: registry.digest(name), NotFound)
    assert sorted(registry.tags(name)) == ["linux-amd64", "linux-arm-v7"]


def test_a_login_is_given_for_pushing(tmp_path):
    need(BINARY)
    with private_registry("127.0.0.1", tmp_path) as private:
        login = (LOGIN["username"], LOGIN["password"])
        parts = {p: push(private, "team/web", p.replace("/", "-"), content=p, login=login) for p in (AMD, ARM)}
        name = image(private)
        assert asking(login=True).index(name, parts) == asking(login=True).digest(name)
        assert "registries:" in told(lambda: asking().index(name, parts), UserError)


# -- answers ---------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def answering(put: Reply, part: Reply | None = None) -> Any:
    given = part or Reply(body=PART, headers={"Content-Type": MANIFEST})
    return lambda asked: put if asked.method == "PUT" else given


def index(server: Scripted, registry: OciRegistry | None = None) -> str:
    return (registry or asking()).index(image(server.name), PARTS)


def test_who_pushes_asks_for_a_token_that_allows_it_and_sends_the_index_again_with_it(server: Scripted):
    def reply(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            assert asked.login == BASIC
            return Reply(body={"token": asked.path.rpartition("%3A")[2]})
        if asked.login == f"Bearer {'pull%2Cpush' if asked.method == 'PUT' else 'pull'}":
            return answering(Reply(201))(asked)
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.name}/token",service="r"'})

    server.reply = reply
    digest = index(server, asking(login=True))
    sent = [a for a in server.seen if a.method == "PUT"]
    assert [digest_of(a.body) for a in sent] == [digest, digest]
    assert {a.headers["content-type"] for a in sent} == {INDEX}
    assert [m["digest"] for m in json.loads(sent[-1].body)["manifests"]] == list(PARTS.values())


def test_what_was_put_once_is_put_again_whatever_etag_came_with_it(server: Scripted):
    server.reply = answering(Reply(201, headers={"ETag": '"v1"'}))
    registry = asking()
    assert index(server, registry) == index(server, registry)
    assert [a.headers.get("if-none-match") for a in server.seen if a.method == "PUT"] == [None, None]


@pytest.mark.parametrize(
    ("put", "kind", "words"),
    [
        (Reply(201, headers={"Docker-Content-Digest": "sha256:" + "ab" * 32}), UserError, "has changed the index"),
        (Reply(400, {"errors": [{"code": "MANIFEST_INVALID", "message": "x"}]}), UserError, "MANIFEST_INVALID"),
        (Reply(404, {"errors": [{"code": "NAME_UNKNOWN"}]}), UserError, "NAME_UNKNOWN"),
        (Reply(405), UserError, "HTTP 405"),
        (Reply(403), UserError, "refuses access"),
        (Reply(307, headers={"Location": "/elsewhere"}), UserError, "answered 307"),
        (Reply(500), RetryLater, "answered 500"),
        (Reply(429), RetryLater, "answered 429"),
    ],
)
def test_a_registry_that_does_not_take_an_index_is_told(server: Scripted, put, kind, words):
    server.reply = answering(put)
    assert words in told(lambda: index(server), kind)


@pytest.mark.parametrize(
    "part",
    [
        Reply(body=b"other", headers={"Content-Type": MANIFEST}),
        Reply(body=PART, headers={"Content-Type": "text/html"}),
        Reply(body=PART, headers={"Content-Type": INDEX}),
    ],
)
def test_what_is_no_manifest_of_the_part_is_told_and_no_index_is_put(server: Scripted, part):
    server.reply = answering(Reply(201), part)
    assert "the part for linux/amd64" in told(lambda: index(server), UserError)
    assert not any(a.method == "PUT" for a in server.seen)
