"""How a repository is got at: deploy keys and host keys at a real sshd, tokens at a real git over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp
from nodewise.domain.recipe import Access
from tests.integration.gate_parts import need
from tests.integration.git_parts import (
    GitHttp,
    Sshd,
    commit,
    git,
    git_http,
    left_in,
    lfs_pointer,
    make_repository,
    source,
    sshd,
)

pytestmark = pytest.mark.seconds(15)

TOKEN = "t0ken/of:a bot"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "srv" / "app")


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mi%h rrors"  # a path in which ssh could find something to fill in


@pytest.fixture
def client(mirrors: Path) -> GitCli:
    return GitCli(mirrors, timeout=60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    need("ssh", "ssh-keygen", "sshd")
    with sshd(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def http(repository: Path) -> Iterator[GitHttp]:
    with git_http(repository.parent, f"bot:{TOKEN}") as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text(TOKEN + "\n")
    return str(tmp_path / "token")


def head_of(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


def everything_below(folder: Path) -> str:
    return "".join(p.read_text("utf-8", "replace") for p in folder.rglob("*") if p.is_file())


def test_a_deploy_key_opens_a_repository_on_a_host_that_is_known(
    server: Sshd, repository: Path, client: GitCli, mirrors: Path, tmp_path: Path
) -> None:
    server.key.chmod(0o444)  # as Docker's secrets are; ssh itself would refuse such a file
    access = Access(key=str(server.key), known_hosts=str(server.known))
    wanted = source(server.url(repository), head_of(repository), access=access)
    assert client.look(wanted).id == wanted.commit
    client.checkout(wanted, tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"
    assert "PRIVATE KEY" not in everything_below(mirrors) + everything_below(tmp_path / "into")
    assert left_in(mirrors) == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_key_counts_however_its_lines_end(end: str, server: Sshd, repository: Path, client: GitCli) -> None:
    text = server.key.read_text().strip()
    server.key.chmod(0o600)
    server.key.write_bytes((text.replace("\n", end or "\n") + end).encode())
    access = Access(key=str(server.key), known_hosts=str(server.known))
    assert client.look(source(server.url(repository), head_of(repository), access=access))


def test_a_host_whose_key_is_another_one_is_not_believed(
    server: Sshd, repository: Path, client: GitCli, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    server.known.write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'other.pub').read_text()}")
    access = Access(key=str(server.key), known_hosts=str(server.known))
    with pytest.raises(GiveUp, match=r"(?i)host key verification failed") as caught:
        client.look(source(server.url(repository), head_of(repository), access=access))
    assert "known_hosts" in caught.value.hint


@pytest.mark.parametrize("named", [True, False])
def test_a_host_that_is_not_known_is_not_believed(
    named: bool, server: Sshd, repository: Path, client: GitCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    known = tmp_path / "none"
    known.write_text("# nobody\n")
    access = Access(key=str(server.key), known_hosts=str(known) if named else "")
    with pytest.raises(GiveUp, match=r"(?i)host key verification failed") as caught:
        client.look(source(server.url(repository), head_of(repository), access=access))
    assert "known_hosts" in caught.value.hint


def test_a_key_that_the_server_does_not_know_is_given_up(
    server: Sshd, repository: Path, client: GitCli, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    access = Access(key=str(tmp_path / "other"), known_hosts=str(server.known))
    with pytest.raises(GiveUp, match=r"(?i)permission denied") as caught:
        client.look(source(server.url(repository), head_of(repository), access=access))
    assert "a key or a token" in caught.value.hint


def test_a_named_key_goes_alone_whatever_an_agent_holds(
    server: Sshd, repository: Path, client: GitCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        while subprocess.run(["ssh-add", "-q", str(server.key)], capture_output=True).returncode:
            assert agent.poll() is None
        access = Access(key=str(tmp_path / "other"), known_hosts=str(server.known))
        with pytest.raises(GiveUp, match=r"(?i)permission denied"):
            client.look(source(server.url(repository), head_of(repository), access=access))
        access = Access(known_hosts=str(server.known))
        assert client.look(source(server.url(repository), head_of(repository), access=access))
    finally:
        agent.terminate()
        agent.wait(60)


@pytest.mark.parametrize("setting", ["key", "known_hosts", "token"])
def test_a_file_that_cannot_be_read_is_named_with_its_setting(
    setting: str, repository: Path, client: GitCli, tmp_path: Path
) -> None:
    wanted = source("ssh://git@127.0.0.1/app", head_of(repository), access=Access(**{setting: str(tmp_path / "gone")}))
    with pytest.raises(GiveUp, match=f"access.{setting}: .*gone cannot be read"):
        client.look(wanted)
    (tmp_path / "gone").write_text("\n")
    with pytest.raises(GiveUp, match=f"access.{setting}: .*gone is empty"):
        client.look(wanted)


@pytest.mark.parametrize("login", ["", "somebody@", "somebody:else@"])
def test_a_token_goes_to_the_server_and_nowhere_else(
    login: str, http: GitHttp, repository: Path, client: GitCli, token: str, mirrors: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")  # which would keep what it is told
    monkeypatch.setenv("HOME", str(home))
    url = f"{http.url}/app".replace("://", f"://{login}")
    wanted = source(url, head_of(repository), access=Access(token=token, username="bot"))
    client.checkout(wanted, tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "1"
    assert {sent for _, sent in http.seen} == {"", f"bot:{TOKEN}"}
    kept = everything_below(mirrors) + everything_below(tmp_path / "into") + everything_below(home)
    assert "t0ken" not in kept
    assert not (home / ".git-credentials").exists()


def test_a_token_is_in_no_argument_and_no_environment(
    http: GitHttp, repository: Path, client: GitCli, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, folder = shutil.which("git"), tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >> {tmp_path}/seen\nexec {real} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    client.look(source(f"{http.url}/app", head_of(repository), access=Access(token=token, username="bot")))
    seen = (tmp_path / "seen").read_text()
    assert f"{http.url}/app" in seen
    assert "t0ken" not in seen


def test_a_token_that_is_not_believed_is_in_no_error(
    http: GitHttp, repository: Path, client: GitCli, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("wr0ng/secret")
    access = Access(token=str(tmp_path / "wrong"), username="bot")
    with pytest.raises(GiveUp, match="Authentication failed") as caught:
        client.look(source(f"{http.url}/app", head_of(repository), access=access))
    assert "wr0ng" not in str(caught.value)
    assert "a key or a token" in caught.value.hint


def test_a_token_is_read_anew_each_time(http: GitHttp, repository: Path, client: GitCli, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old-token")
    wanted = source(f"{http.url}/app", head_of(repository), access=Access(token=str(path), username="bot"))
    with pytest.raises(GiveUp):
        client.look(wanted)
    path.write_text(TOKEN)
    assert client.look(wanted).id == wanted.commit


# -- LFS ---------------------------------------------------------------------------------------------

CONTENT = b"\0large" * 1000


@pytest.fixture
def large(repository: Path, http: GitHttp) -> str:
    """A commit with a file that is in LFS."""
    pointer, oid = lfs_pointer(CONTENT)
    http.lfs[oid] = CONTENT
    (repository / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    return commit(repository, "large.bin", pointer)


def test_files_in_lfs_are_fetched_with_the_same_token(
    http: GitHttp, large: str, client: GitCli, token: str, mirrors: Path, tmp_path: Path
) -> None:
    need("git-lfs")
    wanted = source(f"{http.url}/app", large, access=Access(token=token, username="bot"), lfs=True)
    client.checkout(wanted, tmp_path / "into")
    assert (tmp_path / "into" / "large.bin").read_bytes() == CONTENT
    assert (tmp_path / "into" / "version").read_text() == "1"
    assert any(path.startswith("/lfs/") for path, _ in http.seen)
    assert "t0ken" not in everything_below(tmp_path / "into")
    assert left_in(mirrors) == []


def test_nothing_of_lfs_runs_where_it_is_not_wanted(
    http: GitHttp, large: str, client: GitCli, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    lines = "".join(f"\t{name} = touch {tmp_path}/ran\n" for name in ("smudge", "process", "clean"))
    (home / ".gitconfig").write_text(f'[filter "lfs"]\n{lines}\trequired = true\n')
    monkeypatch.setenv("HOME", str(home))
    client.checkout(source(f"{http.url}/app", large, access=Access(token=token, username="bot")), tmp_path / "into")
    assert (tmp_path / "into" / "large.bin").read_text().startswith("version https://git-lfs")
    assert not (tmp_path / "ran").exists()
    assert not any("lfs" in path for path, _ in http.seen)


def test_without_the_client_it_is_said_what_to_install(
    http: GitHttp, large: str, client: GitCli, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh"):
        (folder / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(folder))
    wanted = source(f"{http.url}/app", large, access=Access(token=token, username="bot"), lfs=True)
    with pytest.raises(GiveUp, match="Git LFS is not installed") as caught:
        client.checkout(wanted, tmp_path / "into")
    assert "git-lfs" in caught.value.hint


def test_a_file_that_the_lfs_server_does_not_have_ends_the_checkout(
    http: GitHttp, large: str, client: GitCli, token: str, tmp_path: Path
) -> None:
    need("git-lfs")
    http.lfs.clear()
    wanted = source(f"{http.url}/app", large, access=Access(token=token, username="bot"), lfs=True)
    with pytest.raises(GiveUp, match=r"git cannot get .*/app: .*no such object"):
        client.checkout(wanted, tmp_path / "into")
