"""The copy of a repository that stays on the machine: it gets what is new, and outlives what is done to it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp, RetryLater
from tests.integration.git_parts import commit, git, git_http, left_in, make_repository, mirror_of, objects, source
from tests.product import wait_for

pytestmark = pytest.mark.seconds(15)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "srv" / "app")
    for number in range(30):
        (folder / f"file-{number}").write_bytes(os.urandom(5000))
    commit(folder, "version", "2")
    return folder


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    return tmp_path / "mirrors"


@pytest.fixture
def local(mirrors: Path) -> GitCli:
    return GitCli(mirrors, timeout=60, allow_local=True)


def head_of(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("history", [False, True])
def test_the_second_look_fetches_only_what_is_new(
    history: bool, repository: Path, local: GitCli, mirrors: Path
) -> None:
    local.look(source(repository, head_of(repository), history=history))
    before = objects(mirror_of(mirrors))
    assert before >= 33  # files, a tree, a commit
    local.look(source(repository, commit(repository, "version", "3"), history=history))
    assert objects(mirror_of(mirrors)) == before + 3  # a file, a tree, a commit


def test_a_commit_that_is_there_is_not_asked_for_again(repository: Path, mirrors: Path, tmp_path: Path) -> None:
    with git_http(repository.parent) as server:
        client, wanted = GitCli(mirrors, timeout=60), source(f"{server.url}/app", head_of(repository))
        client.look(wanted)
        asked = len(server.seen)
        client.checkout(wanted, tmp_path / "into")
        assert asked
        assert len(server.seen) == asked


def test_a_mirror_without_history_gets_it_when_it_is_wanted(repository: Path, local: GitCli, mirrors: Path) -> None:
    git(repository, "tag", "v1", "HEAD~1")
    head = head_of(repository)
    local.look(source(repository, head))
    assert git(mirror_of(mirrors), "rev-list", "--count", head) == "1"
    assert local.look(source(repository, head, history=True)).described == f"v1-1-g{head[:7]}"
    newer = commit(repository, "version", "3")
    local.look(source(repository, newer))
    assert git(mirror_of(mirrors), "rev-list", "--count", newer) == "3"  # it keeps the history


def test_a_tag_that_was_moved_or_removed_counts_as_it_is_now(repository: Path, local: GitCli) -> None:
    head = head_of(repository)
    git(repository, "tag", "v1")
    assert local.look(source(repository, head, history=True)).described == "v1"
    git(repository, "tag", "-d", "v1")
    git(repository, "tag", "v2/rc")
    assert local.look(source(repository, head, history=True)).described == "v2/rc"


@pytest.mark.parametrize("history", [False, True])
def test_a_branch_that_was_pushed_by_force_is_no_obstacle(history: bool, repository: Path, local: GitCli) -> None:
    old = head_of(repository)
    local.look(source(repository, old, history=history))
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    new = commit(repository, "other", "1")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "-q", "--prune=now")
    found = local.look(source(repository, new, history=history), old)
    assert found.changed is not None
    assert "file-1" in found.changed  # the old one is only here by now
    with pytest.raises(GiveUp, match="there is no commit"):
        GitCli(repository.parent / "another", timeout=60, allow_local=True).look(source(repository, old))


def test_addresses_that_differ_in_their_login_share_a_mirror(repository: Path, mirrors: Path) -> None:
    with git_http(repository.parent) as server:
        client, head = GitCli(mirrors, timeout=60), head_of(repository)
        client.look(source(f"{server.url}/app", head))
        client.look(source(f"{server.url}/app".replace("://", "://bot:s3cret@"), head))
    assert "s3cret" not in "".join(p.read_text("utf-8", "replace") for p in mirrors.rglob("*") if p.is_file())
    assert mirror_of(mirrors)


@pytest.mark.parametrize("left", ["shallow.lock", "packed-refs.lock", "config.lock", "refs/nodewise/commits/x.lock",
                                  "objects/pack/tmp_pack_x", "objects/pack/pack-0.keep"])  # fmt: skip
def test_what_a_killed_git_has_left_is_no_obstacle(
    left: str, repository: Path, local: GitCli, mirrors: Path, tmp_path: Path
) -> None:
    local.look(source(repository, head_of(repository)))
    mirror = mirror_of(mirrors)
    number = mirror.stat().st_ino
    (mirror / left).touch()
    local.checkout(source(repository, commit(repository, "version", "3")), tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "3"
    assert mirror.stat().st_ino == number  # it was not made anew
    assert not (mirror / left).exists()


@pytest.mark.parametrize("harm", ["objects", "refs", "HEAD", "config"])
def test_a_mirror_that_is_broken_is_made_anew(
    harm: str, repository: Path, local: GitCli, mirrors: Path, tmp_path: Path
) -> None:
    wanted = source(repository, head_of(repository))
    local.look(wanted)
    mirror = mirror_of(mirrors)
    for path in [p for p in (mirror / harm, *(mirror / harm).rglob("*")) if p.is_file()]:
        path.chmod(0o600)
        path.write_text("rubbish")
    local.checkout(wanted, tmp_path / "into")
    assert (tmp_path / "into" / "version").read_text() == "2"
    assert local.look(wanted).id == wanted.commit
    assert left_in(mirrors) == []


CHILD = """
import sys
from pathlib import Path
from nodewise.adapters.git.cli import GitCli
from nodewise.domain.recipe import Source
GitCli(Path(sys.argv[1]), timeout=60, allow_local=True).look(Source(sys.argv[2], "refs/heads/main", sys.argv[3]))
"""


class Slow:
    """A git whose ``index-pack`` begins, says so, and does not go on until it is let."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.begun, self.go = folder / "begun", folder / "go"
        real = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho $$ > {self.begun}.new; mv {self.begun}.new {self.begun}\n"
                           f"until [ -e {self.go} ]; do sleep 0.05; done\nshift $(($# - 1))\n"
                           f'exec sh -c "$(echo "$1" | sed s,^git-,{real}/git-,)"\n')  # fmt: skip
        program.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        self.environment.pop("GIT_SSH_COMMAND", None)


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    return Slow(tmp_path / "slow")


@pytest.mark.parametrize("known", [False, True])
def test_a_worker_that_is_killed_in_a_fetch_leaves_nothing_that_runs_or_hinders(
    known: bool, slow: Slow, repository: Path, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"ssh://server{repository}"
    monkeypatch.setenv("PATH", slow.environment["PATH"])
    if known:
        slow.go.touch()
        GitCli(mirrors, timeout=60).look(source(url, head_of(repository)))
        slow.go.unlink()
        slow.begun.unlink()
    head = commit(repository, "version", "3")
    worker = subprocess.Popen([sys.executable, "-c", CHILD, str(mirrors), url, head], env=slow.environment)
    wait_for("the fetch to begin", slow.begun.exists)
    left = int(slow.begun.read_text())
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    os.kill(left, 0)  # it has outlived its worker
    assert left_in(mirrors)
    slow.begun.unlink()
    with ThreadPoolExecutor() as aside:
        looked = aside.submit(GitCli(mirrors, timeout=60).look, source(url, head))
        wait_for("the next fetch", slow.begun.exists)
        wait_for("the end of what was left over", lambda: is_gone(left))
        slow.go.touch()
        assert looked.result().id == head
    assert left_in(mirrors) == []


def test_a_git_that_is_killed_itself_leaves_a_mirror_that_works(
    slow: Slow, repository: Path, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", slow.environment["PATH"])
    url, client = f"ssh://server{repository}", GitCli(mirrors, timeout=60)
    slow.go.touch()
    client.look(source(url, head_of(repository)))
    slow.go.unlink()
    slow.begun.unlink()
    head = commit(repository, "version", "3")
    with ThreadPoolExecutor() as aside:
        looked = aside.submit(client.look, source(url, head))
        wait_for("the fetch to begin", slow.begun.exists)
        group = os.getpgid(int(slow.begun.read_text()))
        slow.go.touch()
        os.killpg(group, signal.SIGKILL)
        assert looked.result().id == head  # by a mirror that was made anew
    assert client.look(source(url, head)).id == head
    assert left_in(mirrors) == []


def test_several_processes_share_a_mirror(repository: Path, mirrors: Path) -> None:
    heads = [commit(repository, "version", str(number)) for number in range(6)]
    workers = [subprocess.Popen([sys.executable, "-c", CHILD, str(mirrors), str(repository), head]) for head in heads]
    assert [worker.wait(120) for worker in workers] == [0] * 6
    there = git(mirror_of(mirrors), "for-each-ref", "--format=%(refname:lstrip=3)", "refs/nodewise/commits").split()
    assert sorted(there) == sorted(heads)
    assert left_in(mirrors) == []


def test_who_waits_too_long_for_a_mirror_tries_later(repository: Path, local: GitCli, mirrors: Path) -> None:
    wanted = source(repository, head_of(repository))
    local.look(wanted)
    with mirror_of(mirrors).with_name(f"{mirror_of(mirrors).name}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RetryLater, match="another build is busy"):
            GitCli(mirrors, timeout=0.2, allow_local=True).look(wanted)


def test_a_mirror_does_not_grow_for_ever(
    repository: Path, local: GitCli, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodewise.adapters.git.mirror.KEPT", 2)
    first = head_of(repository)
    for number in range(4):
        local.look(
            source(repository, commit(repository, "version", f"v{number}", GIT_COMMITTER_DATE=f"{2 * 10**9 + number}"))
        )
    assert local.look(source(repository, first)).id == first  # an old one is wanted once more
    there = git(mirror_of(mirrors), "for-each-ref", "--format=%(refname:lstrip=3)", "refs/nodewise/commits").split()
    assert len(there) == 3
    assert first in there


def test_a_mirror_that_nobody_has_used_for_a_month_goes(local: GitCli, mirrors: Path, tmp_path: Path) -> None:
    repositories = [make_repository(tmp_path / name) for name in ("unused", "busy", "used")]
    made = []
    for repository in repositories:
        before = set(mirrors.glob("*.sha1"))
        local.look(source(repository, head_of(repository)))
        made += set(mirrors.glob("*.sha1")) - before
    unused, busy, used = made
    for mirror in made:
        os.utime(f"{mirror}.lock", (time.time() - 31 * 86400,) * 2)
    with Path(f"{busy}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        local.look(source(repositories[2], head_of(repositories[2])))
    assert [m.exists() for m in (unused, busy, used)] == [False, True, True]
    assert left_in(mirrors) == []
    assert local.look(source(repositories[0], head_of(repositories[0]))).id == head_of(repositories[0])


def test_mirrors_are_for_nobody_else(repository: Path, local: GitCli, mirrors: Path) -> None:
    local.look(source(repository, head_of(repository)))
    assert mirrors.stat().st_mode & 0o77 == 0


def test_mirrors_that_cannot_be_made_are_tried_later(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RetryLater, match="file"):
        GitCli(tmp_path / "file" / "mirrors", allow_local=True).look(source(repository, head_of(repository)))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
