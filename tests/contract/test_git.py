"""What is asked of git, shown on real repositories and on the simulated ones by the same tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.recipe import Source
from nodewise.ports import Git
from nodewise.testing import SimulatedGit
from tests.integration.git_parts import NOWHERE, git
from tests.ports import free_port

pytestmark = pytest.mark.seconds(3)

AUTHOR = "Zoë <zoe@example.org>"
AT = 1_700_000_000


class Server(Protocol):
    """A repository at ``url``, and who reads it."""

    url: str
    port: Git

    def commit(self, files: Mapping[str, str], message: str = "a change") -> str: ...

    def tag(self, commit: str, name: str) -> None: ...

    def away(self) -> Source: ...


class Simulated:
    url = "https://git.test/app"

    def __init__(self, folder: Path) -> None:
        self.port = SimulatedGit()

    def commit(self, files: Mapping[str, str], message: str = "a change") -> str:
        return self.port.commit(self.url, files, message, AUTHOR, AT)

    def tag(self, commit: str, name: str) -> None:
        self.port.tag(self.url, commit, name)

    def away(self) -> Source:
        self.port.away = True
        return Source(self.url, "refs/heads/main", NOWHERE)


class Real:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "app"
        self.folder.mkdir()
        self.url = str(self.folder)
        self.port = GitCli(folder / "mirrors", timeout=60, allow_local=True)
        git(self.folder, "init", "-qb", "main")

    def commit(self, files: Mapping[str, str], message: str = "a change") -> str:
        git(self.folder, "rm", "-rqf", "--ignore-unmatch", ".")
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        git(self.folder, "add", "-A")
        name, _, mail = AUTHOR.rstrip(">").partition(" <")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", message, GIT_AUTHOR_NAME=name, GIT_AUTHOR_EMAIL=mail,
            GIT_COMMITTER_DATE=f"{AT} +0000")  # fmt: skip
        return git(self.folder, "rev-parse", "HEAD")

    def tag(self, commit: str, name: str) -> None:
        git(self.folder, "tag", name, commit)

    def away(self) -> Source:
        return Source(f"http://127.0.0.1:{free_port()}/app", "refs/heads/main", NOWHERE)


@pytest.fixture(params=[Simulated, Real], ids=["simulated", "real"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    made: Server = request.param(tmp_path)
    return made


def of(server: Server, commit: str, history: bool = False) -> Source:
    return Source(server.url, "refs/heads/main", commit, history=history)


def test_a_look_tells_who_made_a_commit_when_and_why(server: Server) -> None:
    found = server.port.look(of(server, made := server.commit({"a": "1"}, "Title\n\nBody\n")))
    assert (found.id, found.author, found.message, found.at) == (made, AUTHOR, "Title\n\nBody", AT)
    assert (found.described, found.changed) == ("", None)


def test_a_look_tells_which_paths_differ_from_an_older_commit(server: Server) -> None:
    old = server.commit({"a": "1", "b/c": "1", "gone": "1", "same": "1"})
    new = server.commit({"a": "2", "b/c": "2", "new": "1", "same": "1"})
    assert server.port.look(of(server, new), old).changed == ("a", "b/c", "gone", "new")
    assert server.port.look(of(server, old), new).changed == ("a", "b/c", "gone", "new")
    assert server.port.look(of(server, new), new).changed == ()
    assert server.port.look(of(server, new), NOWHERE).changed is None
    assert server.port.look(of(server, new), "1" * 40).changed is None


def test_a_commit_is_described_by_its_tag_only_with_its_history(server: Server) -> None:
    first, second = server.commit({"a": "1"}), server.commit({"a": "2"})
    assert server.port.look(of(server, second, history=True)).described == ""
    server.tag(first, "v1.0.0")
    assert server.port.look(of(server, first, history=True)).described == "v1.0.0"
    assert server.port.look(of(server, second, history=True)).described == f"v1.0.0-1-g{second[:7]}"
    assert server.port.look(of(server, second)).described == ""


def test_a_checkout_is_the_tree_of_that_commit(server: Server, tmp_path: Path) -> None:
    wanted = server.commit({"a": "1", "b/c": "2"})
    server.commit({"a": "3"})
    server.port.checkout(of(server, wanted), tmp_path / "into")
    files = [p for p in (tmp_path / "into").rglob("*") if p.is_file() and ".git" not in p.parts]
    assert {str(p.relative_to(tmp_path / "into")): p.read_text() for p in files} == {"a": "1", "b/c": "2"}


def test_a_folder_that_holds_something_is_not_checked_out_into(server: Server, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine").touch()
    with pytest.raises(GiveUp, match="not empty"):
        server.port.checkout(of(server, server.commit({"a": "1"})), tmp_path / "into")


def test_a_commit_that_is_not_there_is_given_up(server: Server, tmp_path: Path) -> None:
    server.commit({"a": "1"})
    for ask in (server.port.look, lambda source: server.port.checkout(source, tmp_path / "into")):
        with pytest.raises(GiveUp, match=f"there is no commit {'1' * 40} in refs/heads/main"):
            ask(of(server, "1" * 40))


def test_a_repository_that_is_not_there_is_given_up(server: Server) -> None:
    with pytest.raises(GiveUp, match="git cannot get"):
        server.port.look(Source(f"{server.url}-gone", "refs/heads/main", NOWHERE))


def test_a_server_that_does_not_answer_is_tried_later(server: Server) -> None:
    with pytest.raises(RetryLater, match="git cannot get"):
        server.port.look(server.away())
