"""Submodules: fetched where they are wanted, by the rules for any address, with the keys of their own server."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp
from nodewise.domain.recipe import Access
from tests.integration.git_parts import commit, git, git_http, left_in, make_repository, source

pytestmark = pytest.mark.seconds(5)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "srv" / "app")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "srv" / "libs" / "library")


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mirrors"


@pytest.fixture
def local(mirrors: Path) -> GitCli:
    return GitCli(mirrors, timeout=60, allow_local=True)


def add(repository: Path, name: str, path: str, url: str, commit: str) -> None:
    """An entry in the tree and one in .gitmodules, without asking whether git would let it be made."""
    with (repository / ".gitmodules").open("a") as file:
        file.write(f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n')
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")


def head_of(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


def done(repository: Path) -> str:
    git(repository, "add", ".gitmodules")
    git(repository, "commit", "-qm", "submodules")
    return head_of(repository)


@pytest.mark.parametrize("url", ["../libs/library", "./../libs/library", "{}"])
def test_a_submodule_is_where_it_belongs_at_its_commit(
    url: str, repository: Path, library: Path, local: GitCli, mirrors: Path, tmp_path: Path
) -> None:
    pinned = head_of(library)
    commit(library, "version", "newer")
    add(repository, "the library", "vendor/a b", url.format(library), pinned)
    local.checkout(source(repository, done(repository), submodules=True), tmp_path / "into")
    sub = tmp_path / "into" / "vendor" / "a b"
    assert (sub / "version").read_text() == "1"
    assert head_of(sub) == pinned
    assert git(tmp_path / "into", "status", "--porcelain") == ""
    assert left_in(mirrors) == []
    assert len(list(mirrors.glob("*.sha1"))) == 2  # it has a mirror of its own


def test_submodules_in_submodules_are_fetched_too(
    repository: Path, library: Path, local: GitCli, tmp_path: Path
) -> None:
    base = make_repository(tmp_path / "srv" / "libs" / "base")
    add(library, "base", "base", "../base", head_of(base))
    add(repository, "library", "library", "../libs/library", done(library))
    local.checkout(source(repository, done(repository), submodules=True), tmp_path / "into")
    assert (tmp_path / "into" / "library" / "base" / "version").read_text() == "1"


def test_a_submodules_commit_is_looked_for_in_all_branches_of_a_server_that_gives_no_bare_commits(
    repository: Path, library: Path, local: GitCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(library, "checkout", "-qb", "side")
    pinned = commit(library, "version", "side")
    commit(library, "version", "newer")
    git(library, "checkout", "-q", "main")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[protocol]\nversion = 0\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    add(repository, "library", "library", "../libs/library", pinned)
    local.checkout(source(repository, done(repository), submodules=True), tmp_path / "into")
    assert (tmp_path / "into" / "library" / "version").read_text() == "side"


def test_a_commit_that_a_submodule_does_not_have_is_given_up_by_its_address(
    repository: Path, library: Path, local: GitCli, tmp_path: Path
) -> None:
    add(repository, "library", "library", "../libs/library", "1" * 40)
    with pytest.raises(GiveUp, match=r"libs/library: there is no commit 1111"):
        local.checkout(source(repository, done(repository), submodules=True), tmp_path / "into")


def test_a_submodule_without_an_entry_is_named_by_its_path(repository: Path, local: GitCli, tmp_path: Path) -> None:
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},stray")
    git(repository, "commit", "-qm", "stray")
    with pytest.raises(GiveUp, match=r"the submodule at 'stray' is not in \.gitmodules"):
        local.checkout(source(repository, head_of(repository), submodules=True), tmp_path / "into")
    local.checkout(
        source(repository, head_of(repository)), tmp_path / "other"
    )  # where they are not wanted it is nothing


def test_submodules_that_lead_ever_deeper_come_to_an_end(repository: Path, local: GitCli, tmp_path: Path) -> None:
    inner = head_of(repository)
    for number in range(12):
        other = make_repository(tmp_path / "srv" / f"deep-{number}")
        add(other, "next", "next", f"../deep-{number - 1}" if number else "../app", inner)
        inner = done(other)
    with pytest.raises(GiveUp, match="10 submodules deep"):
        local.checkout(source(tmp_path / "srv" / "deep-11", inner, submodules=True), tmp_path / "into")


def test_a_token_goes_to_submodules_of_the_same_server_alone(
    repository: Path, library: Path, mirrors: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0ken")
    elsewhere = make_repository(tmp_path / "elsewhere" / "other")
    with git_http(repository.parent, "bot:t0ken") as server, git_http(elsewhere.parent) as open_one:
        add(repository, "library", "library", "../libs/library", head_of(library))
        add(repository, "other", "other", f"{open_one.url}/other", head_of(elsewhere))
        access = Access(token=str(tmp_path / "token"), username="bot")
        wanted = source(f"{server.url}/app", done(repository), access=access, submodules=True)
        GitCli(mirrors, timeout=60).checkout(wanted, tmp_path / "into")
        assert (tmp_path / "into" / "library" / "version").read_text() == "1"
        assert (tmp_path / "into" / "other" / "version").read_text() == "1"
        assert {login for _, login in open_one.seen} == {""}
        open_one.login = "bot:t0ken"  # it asks for what only the first one gets
        commit(elsewhere, "version", "2")
        add(repository, "another", "another", f"{open_one.url}/other", head_of(elsewhere))
        wanted = source(f"{server.url}/app", done(repository), access=access, submodules=True)
        with pytest.raises(GiveUp, match=f"git cannot get {open_one.url}/other"):
            GitCli(mirrors, timeout=60).checkout(wanted, tmp_path / "again")
        assert {login for _, login in open_one.seen} == {""}
