"""GitCli on real repositories: over the file protocol, over git:// from a real git daemon, and over HTTP."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp, RetryLater
from tests.integration.git_parts import NOWHERE, commit, daemon, git, left_in, make_repository, source
from tests.ports import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.seconds(6),
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "srv" / "app")


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mirrors"


@pytest.fixture
def local(mirrors: Path) -> GitCli:
    return GitCli(mirrors, timeout=60, allow_local=True)


@pytest.fixture
def remote(mirrors: Path) -> GitCli:
    """One for which nothing is local."""
    return GitCli(mirrors, timeout=60)


def test_exactly_the_pushed_commit_is_checked_out_though_the_branch_went_on(
    repository: Path, local: GitCli, tmp_path: Path
) -> None:
    wanted = commit(repository, "version", "2")
    commit(repository, "version", "3")
    into = tmp_path / "into"
    local.checkout(source(repository, wanted), into)
    assert (into / "version").read_text() == "2"
    assert git(into, "rev-parse", "HEAD") == wanted
    assert git(into, "rev-list", "--count", "HEAD") == "1"  # no history was fetched


def test_an_annotated_tags_own_id_is_peeled_to_its_commit(repository: Path, local: GitCli, tmp_path: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "one")
    tag, head = git(repository, "rev-parse", "refs/tags/v1"), git(repository, "rev-parse", "HEAD")
    assert tag != head
    local.checkout(source(f"file://{repository}", tag, "refs/tags/v1"), tmp_path / "into")
    assert git(tmp_path / "into", "rev-parse", "HEAD") == head


def test_a_server_that_gives_out_no_bare_commits_is_asked_for_the_ref(
    repository: Path, local: GitCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = git(repository, "rev-parse", "HEAD")
    commit(repository, "version", "2")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[protocol]\nversion = 0\n")  # the protocol in which servers may refuse
    monkeypatch.setenv("HOME", str(home))
    local.checkout(source(repository, wanted), tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"
    with pytest.raises(GiveUp, match=r"unadvertised object|not our ref"):
        GitCli(tmp_path / "other", allow_local=True).look(source(repository, wanted, ""))


def test_a_commit_that_is_not_there_is_given_up(repository: Path, local: GitCli, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match=f"there is no commit {NOWHERE} in refs/heads/main"):
        local.checkout(source(repository, NOWHERE), tmp_path / "a")
    with pytest.raises(GiveUp, match="refs/heads/gone"):
        local.checkout(source(repository, NOWHERE, "refs/heads/gone"), tmp_path / "b")


def test_a_tree_is_not_a_commit(repository: Path, local: GitCli, tmp_path: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    with pytest.raises(GiveUp):
        local.checkout(source(repository, tree), tmp_path / "into")


def test_a_repository_that_is_not_there_is_given_up(local: GitCli, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match=r"does not appear to be a git repository|not found|does not exist"):
        local.checkout(source(tmp_path / "missing", NOWHERE), tmp_path / "into")


def test_a_repository_of_another_user_is_no_obstacle(repository: Path, local: GitCli, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    head = git(repository, "rev-parse", "HEAD")
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    into = tmp_path / "into"
    into.mkdir()
    os.chown(into, 12345, 12345)
    local.checkout(source(repository, head), into)
    assert (into / "version").read_text() == "1"


def test_hooks_of_templates_and_links_out_of_the_tree_do_no_harm(
    repository: Path, local: GitCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    hook = template / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template))
    (repository / "link").symlink_to("/etc/passwd")
    head = commit(repository, "version", "2")
    local.checkout(source(repository, head), tmp_path / "into")
    assert (tmp_path / "into" / "link").is_symlink()
    assert not (tmp_path / "hook-ran").exists()


def test_submodules_are_not_fetched(repository: Path, local: GitCli, tmp_path: Path) -> None:
    other = tmp_path / "srv" / "other"
    other.mkdir()
    git(other, "init", "-qb", "main")
    commit(other, "x", "1")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    head = commit(repository, "version", "2")
    local.checkout(source(repository, head), tmp_path / "into")
    assert list((tmp_path / "into" / "sub").iterdir()) == []


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_local_repository_is_refused_unless_allowed(
    form: str, repository: Path, remote: GitCli, tmp_path: Path
) -> None:
    with pytest.raises(GiveUp, match="local"):
        remote.checkout(source(form.format(repository), NOWHERE), tmp_path / "into")


def test_a_folder_that_holds_something_is_not_checked_out_into(repository: Path, local: GitCli, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine").touch()
    with pytest.raises(GiveUp, match="not empty"):
        local.checkout(source(repository, NOWHERE), tmp_path / "into")


def test_a_repository_is_fetched_over_the_network(repository: Path, remote: GitCli, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    with daemon(repository.parent) as url:
        remote.checkout(source(f"{url}/app", head.upper()), tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_server_that_does_not_answer_is_tried_later(scheme: str, remote: GitCli, tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match=r"(?i)refused|connect"):
        url = f"{scheme}://127.0.0.1:{free_port()}/app"
        remote.checkout(source(url, NOWHERE), tmp_path / "into")


class _Guarded(BaseHTTPRequestHandler):
    """A server that knows one login, and after it no repository."""

    seen: list[str]
    status = 401

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        known = self.seen[-1] == "Basic Ym90OnMzY3JldC9wdw=="  # bot:s3cret/pw
        self.send_response(404 if known and self.status == 401 else self.status)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def guarded() -> Iterator[tuple[str, type[_Guarded]]]:
    handler = type("Handler", (_Guarded,), {"seen": [], "status": 401})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def test_a_login_in_the_address_reaches_the_server_and_no_error(
    guarded: tuple[str, type[_Guarded]], remote: GitCli, tmp_path: Path
) -> None:
    host, handler = guarded
    with pytest.raises(GiveUp, match="not found") as caught:
        url = f"http://bot:s3cret%2Fpw@{host}/app"
        remote.checkout(source(url, NOWHERE), tmp_path / "into")
    assert any(handler.seen), "the login was not sent"
    assert "s3cret" not in str(caught.value)
    kept = "".join(p.read_text("utf-8", "replace") for p in tmp_path.rglob("*") if p.is_file())
    assert "s3cret" not in kept


def test_a_wrong_login_is_given_up_without_a_prompt(
    guarded: tuple[str, type[_Guarded]], remote: GitCli, tmp_path: Path
) -> None:
    host, _ = guarded
    with pytest.raises(GiveUp) as caught:
        remote.checkout(source(f"http://bot:wrong-pw@{host}/app", NOWHERE, "main"), tmp_path / "into")
    assert "wrong-pw" not in str(caught.value)
    assert "key or a token" in caught.value.hint
    with pytest.raises(GiveUp) as caught:
        remote.checkout(source(f"http://t0ken@{host}/app", NOWHERE, "main"), tmp_path / "into2")
    assert "t0ken" not in str(caught.value)


def test_a_server_in_trouble_is_tried_later(
    guarded: tuple[str, type[_Guarded]], remote: GitCli, tmp_path: Path
) -> None:
    host, handler = guarded
    handler.status = 503
    with pytest.raises(RetryLater, match="503"):
        remote.checkout(source(f"http://{host}/app", NOWHERE), tmp_path / "into")


def test_what_git_says_of_a_commit(repository: Path, local: GitCli) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "A title\n\nA body\nof two lines",
        GIT_AUTHOR_NAME="Zoë", GIT_AUTHOR_EMAIL="zoe@example.org", GIT_COMMITTER_DATE="1700000000 +0100")  # fmt: skip
    found = local.look(source(repository, git(repository, "rev-parse", "HEAD")))
    assert (found.author, found.at) == ("Zoë <zoe@example.org>", 1700000000.0)
    assert found.message == "A title\n\nA body\nof two lines"
    assert (found.described, found.changed) == ("", None)


def test_what_has_changed_is_told_by_path_also_where_names_are_odd(repository: Path, local: GitCli) -> None:
    old = commit(repository, "a b/ü.txt", "1")
    commit(repository, "a b/ü.txt", "2")
    git(repository, "mv", "version", "VERSION")
    new = commit(repository, "-x", "1")
    assert local.look(source(repository, new), old).changed == ("-x", "VERSION", "a b/ü.txt", "version")
    assert local.look(source(repository, new), new).changed == ()


@pytest.mark.parametrize("since", ["", NOWHERE, "1" * 40, "main", "--output=/tmp/owned"])
def test_a_commit_that_is_not_to_be_had_leaves_it_open_what_has_changed(
    since: str, repository: Path, local: GitCli
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert local.look(source(repository, head), since).changed is None


def test_a_commit_is_described_by_its_nearest_tag_where_the_history_is_wanted(repository: Path, local: GitCli) -> None:
    first = git(repository, "rev-parse", "HEAD")
    assert local.look(source(repository, first, history=True)).described == ""
    git(repository, "tag", "v1.0.0")
    head = commit(repository, "version", "2")
    assert local.look(source(repository, first, history=True)).described == "v1.0.0"
    assert local.look(source(repository, head, history=True)).described == f"v1.0.0-1-g{head[:7]}"
    assert local.look(source(repository, head)).described == ""


def test_nothing_is_left_behind_but_the_mirror(repository: Path, local: GitCli, mirrors: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    local.checkout(source(repository, head), tmp_path / "into")
    with pytest.raises(GiveUp):
        local.look(source(repository, NOWHERE))
    assert left_in(mirrors) == []
    assert str(mirrors) not in "".join(
        p.read_text("utf-8", "replace") for p in (tmp_path / "into").rglob("*") if p.is_file()
    )
    shutil.rmtree(mirrors)
    assert git(tmp_path / "into", "fsck") == ""  # it needs no mirror
