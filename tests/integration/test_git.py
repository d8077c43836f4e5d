"""GitCli on real repositories: over the file protocol, and over git:// from a real git daemon."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodewise.adapters.git import GitCli
from nodewise.domain.errors import GiveUp, RetryLater
from tests.ports import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.seconds(6),
]

NOWHERE = "0" * 40


def git(folder: Path, *arguments: str, **more: str) -> str:
    who = {f"GIT_{role}_{what}": f"{what}@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", **more}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(repository: Path, name: str, text: str) -> str:
    (repository / name).write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", f"{name} is {text}")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "srv" / "app"
    folder.mkdir(parents=True)
    git(folder, "init", "-qb", "main")
    commit(folder, "version", "1")
    return folder


@pytest.fixture
def local() -> GitCli:
    return GitCli(timeout=60, allow_local=True)


def test_exactly_the_pushed_commit_is_checked_out_though_the_branch_went_on(
    repository: Path, local: GitCli, tmp_path: Path
) -> None:
    wanted = commit(repository, "version", "2")
    commit(repository, "version", "3")
    into = tmp_path / "into"
    local.checkout(str(repository), "refs/heads/main", wanted, into)
    assert (into / "version").read_text() == "2"
    assert git(into, "rev-parse", "HEAD") == wanted
    assert git(into, "rev-list", "--count", "HEAD") == "1"  # no history was fetched


def test_an_annotated_tags_own_id_is_peeled_to_its_commit(repository: Path, local: GitCli, tmp_path: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "one")
    tag, head = git(repository, "rev-parse", "refs/tags/v1"), git(repository, "rev-parse", "HEAD")
    assert tag != head
    local.checkout(f"file://{repository}", "refs/tags/v1", tag, tmp_path / "into")
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
    local.checkout(str(repository), "refs/heads/main", wanted, tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"
    with pytest.raises(GiveUp, match=r"unadvertised object|not our ref"):
        local.checkout(str(repository), "", wanted, tmp_path / "no-ref")


def test_a_commit_that_is_not_there_is_given_up(repository: Path, local: GitCli, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match=f"there is no commit {NOWHERE} in refs/heads/main"):
        local.checkout(str(repository), "refs/heads/main", NOWHERE, tmp_path / "a")
    with pytest.raises(GiveUp, match="refs/heads/gone"):
        local.checkout(str(repository), "refs/heads/gone", NOWHERE, tmp_path / "b")


def test_a_tree_is_not_a_commit(repository: Path, local: GitCli, tmp_path: Path) -> None:
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    with pytest.raises(GiveUp):
        local.checkout(str(repository), "refs/heads/main", tree, tmp_path / "into")


def test_a_repository_that_is_not_there_is_given_up(local: GitCli, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match=r"does not appear to be a git repository|not found|does not exist"):
        local.checkout(str(tmp_path / "missing"), "refs/heads/main", NOWHERE, tmp_path / "into")


def test_a_repository_of_another_user_is_no_obstacle(repository: Path, local: GitCli, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    head = git(repository, "rev-parse", "HEAD")
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    into = tmp_path / "into"
    into.mkdir()
    os.chown(into, 12345, 12345)
    local.checkout(str(repository), "refs/heads/main", head, into)
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
    local.checkout(str(repository), "refs/heads/main", head, tmp_path / "into")
    assert (tmp_path / "into" / "link").is_symlink()
    assert not (tmp_path / "hook-ran").exists()


def test_submodules_are_not_fetched(repository: Path, local: GitCli, tmp_path: Path) -> None:
    other = tmp_path / "srv" / "other"
    other.mkdir()
    git(other, "init", "-qb", "main")
    commit(other, "x", "1")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    head = commit(repository, "version", "2")
    local.checkout(str(repository), "refs/heads/main", head, tmp_path / "into")
    assert list((tmp_path / "into" / "sub").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/owned",
        "-oProxyCommand=touch /tmp/owned",
        "ext::sh -c 'touch /tmp/owned'",
        "ext::sh",
        "fd::17/foo",
        "ssh://-oProxyCommand=x/app",
        "-oProxyCommand=x:app",
        "git@-oProxyCommand=x:app",
        "host:-app",
        "ftp://example.com/app",
        "https://",
        "https://example.com:port/app",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "app",
        "./app",
        "",
    ],
)
def test_an_address_that_git_could_take_for_something_else_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="refused"):
        GitCli(allow_local=True).checkout(url, "refs/heads/main", NOWHERE, tmp_path / "into")


@pytest.mark.parametrize(
    "ref",
    ["--upload-pack=x", "refs/heads/../x", "a b", "a:b", "a^{}", "x.lock", "a//b", "/a", "a/", "@{-1}", "*", "a\\b"],
)
def test_a_ref_that_git_would_not_create_is_refused(ref: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="is not a ref"):
        GitCli(allow_local=True).checkout(str(repository), ref, NOWHERE, tmp_path / "into")


@pytest.mark.parametrize("wrong", ["", "HEAD", "-h", "--help", "abc123", "main", "g" * 40, "0" * 41])
def test_a_commit_that_is_no_full_object_name_is_refused(wrong: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="is not a commit"):
        GitCli(allow_local=True).checkout(str(repository), "refs/heads/main", wrong, tmp_path / "into")


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_local_repository_is_refused_unless_allowed(form: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="local"):
        GitCli().checkout(form.format(repository), "refs/heads/main", NOWHERE, tmp_path / "into")


def test_a_folder_that_holds_something_is_not_checked_out_into(repository: Path, local: GitCli, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine").touch()
    with pytest.raises(GiveUp, match="not empty"):
        local.checkout(str(repository), "refs/heads/main", NOWHERE, tmp_path / "into")


@pytest.fixture
def daemon(repository: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--port={port}", "--listen=127.0.0.1", "--reuseaddr",
         f"--base-path={repository.parent}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield f"git://127.0.0.1:{port}/app"
    os.killpg(process.pid, 15)
    process.wait(60)


def test_a_repository_is_fetched_over_the_network(daemon: str, repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    GitCli(timeout=60).checkout(daemon, "refs/heads/main", head.upper(), tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_a_server_that_does_not_answer_is_tried_later(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match=r"(?i)refused|connect"):
        url = f"{scheme}://127.0.0.1:{free_port()}/app"
        GitCli(timeout=60).checkout(url, "refs/heads/main", NOWHERE, tmp_path / "into")


def test_a_server_that_says_nothing_is_cut_off(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        began = time.monotonic()
        with pytest.raises(RetryLater, match="in time"):
            url = f"git://127.0.0.1:{mute.getsockname()[1]}/app"
            GitCli(timeout=1).checkout(url, "refs/heads/main", NOWHERE, tmp_path / "into")
        assert time.monotonic() - began < 30  # 1 s, on a machine that may be busy


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
    guarded: tuple[str, type[_Guarded]], tmp_path: Path
) -> None:
    host, handler = guarded
    with pytest.raises(GiveUp, match="not found") as caught:
        url = f"http://bot:s3cret%2Fpw@{host}/app"
        GitCli(timeout=60).checkout(url, "refs/heads/main", NOWHERE, tmp_path / "into")
    assert any(handler.seen), "the login was not sent"
    assert "s3cret" not in str(caught.value)
    kept = "".join(p.read_text("utf-8", "replace") for p in (tmp_path / "into").rglob("*") if p.is_file())
    assert "s3cret" not in kept


def test_a_wrong_login_is_given_up_without_a_prompt(guarded: tuple[str, type[_Guarded]], tmp_path: Path) -> None:
    host, _ = guarded
    with pytest.raises(GiveUp) as caught:
        GitCli(timeout=60).checkout(f"http://bot:wrong-pw@{host}/app", "main", NOWHERE, tmp_path / "into")
    assert "wrong-pw" not in str(caught.value)
    assert "key or a token" in caught.value.hint
    with pytest.raises(GiveUp) as caught:
        GitCli(timeout=60).checkout(f"http://t0ken@{host}/app", "main", NOWHERE, tmp_path / "into2")
    assert "t0ken" not in str(caught.value)


def test_a_server_in_trouble_is_tried_later(guarded: tuple[str, type[_Guarded]], tmp_path: Path) -> None:
    host, handler = guarded
    handler.status = 503
    with pytest.raises(RetryLater, match="503"):
        GitCli(timeout=60).checkout(f"http://{host}/app", "refs/heads/main", NOWHERE, tmp_path / "into")
