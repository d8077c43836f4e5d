"""Registries asked directly: a real one, and one that answers as it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodewise.adapters.registry.oci import OciRegistry
from nodewise.adapters.registry.pauses import FIRST
from nodewise.adapters.registry.session import LARGEST, url_of
from nodewise.domain.errors import NotFound, RetryLater, UserError
from nodewise.testing import ManualClock
from tests.integration.gate_parts import need, trusted_nowhere
from tests.integration.registry_parts import (
    BASIC,
    DIGEST,
    FOUND,
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
from tests.lab.registry import BINARY, Registry
from tests.ports import free_port

# -- a real one ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


def test_every_tag_is_listed_and_a_tag_is_the_digest_that_was_pushed(real: str):
    tags = [f"1.{n}.0" for n in range(150)]
    digest = push(real, "team/web", *tags)
    moved = push(real, "team/web", "1.7.0", content="another")
    registry = asking()
    assert sorted(registry.tags(image(real))) == sorted(tags)
    assert (registry.digest(image(real, "1.8.0")), registry.digest(image(real, "1.7.0"))) == (digest, moved)
    again = push(real, "team/web", "1.7.0", content="a third")
    assert registry.digest(image(real, "1.7.0")) == again != moved


def test_of_several_platforms_the_index_counts_as_it_does_for_engines(real: str):
    child = push(real, "team/several", "amd64")
    index = push_index(real, "team/several", "1.0", child)
    assert asking().digest(image(real, path="team/several")) == index != child


def test_what_is_not_there_is_told_by_its_name(real: str):
    push(real, "team/web", "1.0")
    assert "team/web:9.9" in told(lambda: asking().digest(image(real, "9.9")), NotFound)
    assert "team/nothing" in told(lambda: asking().tags(image(real, path="team/nothing")), NotFound)


def test_an_image_is_removed_by_its_digest_with_its_tags_and_no_other_is(real: str):
    old = push(real, "team/old", "1.0", "also", content="old")
    new = push(real, "team/old", "main", content="new")
    registry, path = asking(), "team/old"
    registry.remove(image(real, "1.0", path).pinned(old))
    for tag in ("1.0", "also"):
        told(lambda tag=tag: registry.digest(image(real, tag, path)), NotFound)
    assert registry.digest(image(real, "main", path)) == new
    registry.remove(image(real, "1.0", path).pinned(old))  # gone already
    registry.remove(image(real, "1.0", "team/nothing").pinned(old))


def test_a_registry_that_lets_nobody_remove_anything_is_told_with_the_way_out(tmp_path: Path):
    need(BINARY)
    registry = Registry(tmp_path, "127.0.0.1", free_port(), deleting=False).start()
    try:
        digest = push(registry.address, "team/web", "1.0")
        named = image(registry.address).pinned(digest)
        said = told(lambda: asking().remove(named), UserError)
        assert all(word in said for word in (registry.address, "storage.delete.enabled"))
        assert asking().digest(image(registry.address)) == digest
    finally:
        registry.stop()


def test_a_login_is_given_where_it_is_asked_for(tmp_path: Path):
    need(BINARY)
    with private_registry("127.0.0.1", tmp_path) as private:
        digest = push(private, "team/web", "1.0", login=(LOGIN["username"], LOGIN["password"]))
        known = asking(login=True)
        assert (known.tags(image(private)), known.digest(image(private))) == (["1.0"], digest)
        assert "registries:" in told(lambda: asking().tags(image(private)), UserError)


# -- logins ----------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def guarded(server: Scripted, token: str = "t0ken", seconds: int = 300) -> Callable[[Asked], Reply]:
    """A registry that sends everybody to its token server, which knows one user."""

    def reply(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            good = asked.login == BASIC
            return Reply(200 if good else 401, {"token": token, "expires_in": seconds} if good else {})
        if asked.login == f"Bearer {token}":
            return FOUND
        scope = 'scope="repository:team/web:pull"'
        return Reply(
            401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.name}/token",service="r",{scope}'}
        )

    return reply


def test_a_token_is_fetched_with_the_login_and_used_until_it_ends(server: Scripted):
    server.reply = guarded(server)
    clock = ManualClock(time.time())
    registry = asking(login=True, clock=clock)
    assert registry.digest(image(server.name)) == DIGEST
    asked = "GET /token?service=r&scope=repository%3Ateam%2Fweb%3Apull"
    manifest = "HEAD /v2/team/web/manifests/1.0"
    assert server.asked == [manifest, asked, manifest]
    assert [a.login for a in server.seen] == ["", BASIC, "Bearer t0ken"], "the login is for the token server alone"
    registry.digest(image(server.name))
    assert server.asked[3:] == [manifest]
    clock.advance(300)
    registry.digest(image(server.name))
    assert server.asked[4:] == [manifest, asked, manifest]


def test_who_removes_asks_for_a_token_that_allows_it_and_who_reads_for_none_such(server: Scripted):
    tokens = {"pull": "reads", "delete": "removes"}

    def reply(asked: Asked) -> Reply:
        action = "delete" if asked.method == "DELETE" else "pull"
        if asked.path.startswith("/token"):
            return Reply(200, {"token": tokens[asked.path.rpartition("%3A")[2]], "expires_in": 300})
        if asked.login == f"Bearer {tokens[action]}":
            return Reply(202) if action == "delete" else FOUND
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.name}/token",service="r"'})

    server.reply = reply
    registry = asking(login=True)
    for _ in range(2):
        registry.remove(image(server.name).pinned(DIGEST))
        assert registry.digest(image(server.name)) == DIGEST
    assert [a.rpartition("%3A")[2] for a in server.asked if "/token" in a] == ["delete", "pull"]


def test_a_token_that_is_not_taken_any_more_is_replaced(server: Scripted):
    server.reply = guarded(server)
    registry = asking(login=True)
    registry.digest(image(server.name))
    server.reply = guarded(server, token="another")
    assert registry.digest(image(server.name)) == DIGEST


def test_a_login_that_is_refused_is_not_tried_again_and_again(server: Scripted):
    server.reply = lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    clock = ManualClock(time.time())
    registry = asking(login=True, clock=clock)
    for pause in (FIRST, 2 * FIRST, 4 * FIRST):
        server.seen.clear()
        assert "refuses access to team/web" in told(lambda: registry.digest(image(server.name)), UserError)
        clock.advance(pause - 1)
        assert "refuses the login" in told(lambda: registry.digest(image(server.name)), RetryLater)
        assert len([a for a in server.seen if a.login]) == 1
        clock.advance(1)


def test_a_login_is_tried_without_an_image(server: Scripted):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{server.name}/token",service="r"'}
    guard = guarded(server)
    server.reply = lambda a: Reply(401, headers=challenge) if a.path == "/v2/" and not a.login else guard(a)
    assert asking(login=True).ping(server.name) == pytest.approx(time.time(), abs=30)
    assert server.asked == ["GET /v2/", "GET /token?service=r", "GET /v2/"]
    wrong = OciRegistry(lambda _: {**LOGIN, "password": "old"})
    assert "refuses its login" in told(lambda: wrong.ping(server.name), UserError)
    assert "refuses the login" in told(lambda: wrong.ping(server.name), RetryLater), "and is not asked again at once"


def test_a_registry_that_wants_a_login_is_there_for_whom_has_none(server: Scripted):
    server.reply = guarded(server)
    assert asking().ping(server.name)
    assert server.asked == ["GET /v2/"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_does_not_answer_like_a_registry_is_told(server: Scripted, status: int):
    server.reply = lambda _: Reply(status)
    assert f"not like a registry (HTTP {status})" in told(lambda: asking().ping(server.name), UserError)


def test_without_a_login_a_repository_that_wants_one_is_told(server: Scripted):
    server.reply = guarded(server)
    assert "nodewise.yaml" in told(lambda: asking().digest(image(server.name)), UserError)
    assert not any(a.login for a in server.seen)


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer", 'Bearer realm="ftp://x/"', 'Bearer realm=""'])
def test_a_challenge_that_nobody_can_meet_is_told(server: Scripted, challenge):
    server.reply = lambda _: Reply(401, headers={"WWW-Authenticate": challenge})
    told(lambda: asking(login=True).digest(image(server.name)), UserError)
    assert not any(a.login for a in server.seen)


@pytest.mark.parametrize("body", [b"no json", {}, [], {"token": 7}, {"token": "a\nb"}])
def test_a_token_server_that_gives_no_token_is_told(server: Scripted, body):
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{server.name}/token"'}
    server.reply = lambda a: Reply(200, body) if a.path.startswith("/token") else Reply(401, headers=challenge)
    assert "gives no token" in told(lambda: asking().digest(image(server.name)), UserError)


def test_another_host_gets_no_login(server: Scripted):
    with scripted("127.0.0.2") as other:
        other.reply = lambda a: FOUND
        guard = guarded(server)
        moved = Reply(307, headers={"Location": f"http://{other.name}/v2/there"})
        server.reply = lambda a: moved if a.login.startswith("Bearer") else guard(a)
        assert asking(login=True).digest(image(server.name)) == DIGEST
        assert [(a.path, a.login) for a in other.seen] == [("/v2/there", "")]
        other.reply = guarded(other)
        told(lambda: asking(login=True).digest(image(server.name)), UserError)
        assert not any(a.login for a in other.seen), "nor when it asks for one"


def test_certificates_are_checked_and_no_login_leaves_tls(server: Scripted, monkeypatch: pytest.MonkeyPatch):
    need("openssl")
    guard = guarded(server)
    server.reply = lambda a: FOUND if a.path.endswith("open") else guard(a)
    with trusted_nowhere(server) as certificate:
        registry = OciRegistry(lambda _: LOGIN, lambda _: f"https://{server.name}")
        assert "'address'" in told(lambda: registry.digest(image(server.name)), UserError)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        registry = OciRegistry(lambda _: LOGIN, lambda _: f"https://{server.name}")
        assert registry.digest(image("registry.test", "open")) == DIGEST
        assert "without https" in told(lambda: registry.digest(image(server.name)), UserError)


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["/v2/team/web/tags/list?n=2&last=", "http://inside:5000/v2/team/web/tags/list?last="])
def test_tags_are_read_page_by_page_on_the_registry_itself(server: Scripted, link):
    pages = {"": ["1.0", "1.1"], "1.1": ["1.2", "1.3"], "1.3": ["1.4"]}

    def reply(asked: Asked) -> Reply:
        last = asked.path.partition("last=")[2]
        page = pages[last]
        more = {"Link": f'<{link}{page[-1]}>; rel="next"'} if page[-1] in pages else {}
        return Reply(200, {"name": "team/web", "tags": page}, more)

    server.reply = reply
    assert list(asking().tags(image(server.name))) == ["1.0", "1.1", "1.2", "1.3", "1.4"]
    assert server.asked[0] == "GET /v2/team/web/tags/list?n=1000"


def test_pages_without_an_end_are_not_read_for_ever(server: Scripted):
    server.reply = lambda a: Reply(200, {"tags": ["1.0"]}, {"Link": f'<{a.path}>; rel="next"'})
    assert "more than 100 pages" in told(lambda: asking().tags(image(server.name)), UserError)


def test_a_repository_whose_tags_are_all_gone_has_none(server: Scripted):
    server.reply = lambda _: Reply(200, {"name": "team/web", "tags": None})
    assert asking().tags(image(server.name)) == []


@pytest.mark.parametrize("body", [b"<html>", [], {}, {"tags": 7}, b" " * (LARGEST + 1)])
def test_what_is_no_list_of_tags_is_told(server: Scripted, body):
    server.reply = lambda _: Reply(200, body)
    told(lambda: asking().tags(image(server.name)), UserError)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(405), "does not let images be removed"),
        (Reply(400, {"errors": [{"code": "UNSUPPORTED"}]}), "does not let images be removed"),
        (Reply(400), "answered 400"),
        (Reply(403), "refuses access"),
        (Reply(307, headers={"Location": "/elsewhere"}), "answered 307"),
    ],
)
def test_who_cannot_remove_an_image_is_told_why_and_never_that_it_is_gone(server: Scripted, reply, words):
    server.reply = lambda a: reply if a.path.startswith("/v2/") else Reply(200)
    assert words in told(lambda: asking().remove(image(server.name).pinned(DIGEST)), UserError)
    assert server.asked == [f"DELETE /v2/team/web/manifests/{DIGEST}"]


@pytest.mark.parametrize("digest", ["", "sha256:no"])
def test_an_answer_without_a_digest_is_told(server: Scripted, digest):
    server.reply = lambda _: Reply(headers={"Docker-Content-Digest": digest})
    told(lambda: asking().digest(image(server.name)), UserError)


@pytest.mark.parametrize("body", [b"", b'{"tags":'], ids=["silent", "byte by byte"])
def test_a_registry_that_hangs_holds_nobody_beyond_the_timeout(server: Scripted, body):
    server.reply = lambda _: Reply(200, body, hang=True)
    assert "within 0.3 s" in told(lambda: asking(timeout=0.3).tags(image(server.name)), RetryLater)


def test_redirects_without_an_end_are_not_followed_for_ever(server: Scripted):
    server.reply = lambda a: Reply(302, headers={"Location": a.path + "x"})
    told(lambda: asking().tags(image(server.name)), RetryLater)
    assert len(server.seen) == 4


def test_plain_http_is_for_this_machine_alone():
    assert [url_of(name) for name in ("localhost:5000", "127.0.0.9", "[::1]:5000")] == [
        "http://localhost:5000",
        "http://127.0.0.9",
        "http://[::1]:5000",
    ]
    assert url_of("registry.test:5000") == "https://registry.test:5000"
    assert url_of("docker.io") == "https://registry-1.docker.io"
    assert url_of("localhost.example.org") == "https://localhost.example.org"
