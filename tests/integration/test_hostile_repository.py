"""What somebody who may push, or who runs the server, can put in our way: nothing of it runs, and nothing leaks.

After each attempt the marker that a hostile command would make is not there, the secrets of the configuration are in no
error, and nothing is left behind: neither among the mirrors, nor in the machine's folder for temporary files.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nodewise.adapters.git.cli import GitCli
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.recipe import Access, Limits, Recipe
from tests.building import sleeps
from tests.integration.git_parts import MAIN, NOWHERE, commit, git, make_repository, source
from tests.integration.hostile_parts import SECRETS, Attempt, echo, is_open, served
from tests.integration.yard import Yard, yard
from tests.lab.lab import Lab
from tests.product import wait_for

pytestmark = pytest.mark.seconds(10)


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attempt]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("DATABASE_PASSWORD", SECRETS[1])
    (tmp_path / "token").write_text(SECRETS[0])
    mirrors = tmp_path / "mirrors"
    yield Attempt(
        make_repository(tmp_path / "srv" / "app"),
        mirrors,
        tmp_path / "into",
        tmp_path / "marker",
        Access(token=str(tmp_path / "token")),
        GitCli(mirrors, timeout=60, allow_local=True),
    )
    assert list(temporary.iterdir()) == []


# -- what an event says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack={mark}",
        "-u{mark}",
        "-oProxyCommand={mark}",
        "ext::sh -c '{mark}'",
        "ext::sh",
        "EXT::sh",
        "fd::17/foo",
        "ssh://-oProxyCommand=x/app",
        "ssh://-oProxyCommand=x@host/app",
        "ssh://user:pass-word@host/app",
        "-oProxyCommand=x:app",
        "git@-oProxyCommand=x:app",
        "host:-app",
        "ftp://example.com/app",
        "file://host/app",
        "https://",
        "https://example.com:port/app",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/a\0b",
        "app",
        "./app",
        "",
    ],
)
def test_an_address_that_git_could_take_for_something_else_is_refused(url: str, attempt: Attempt) -> None:
    wanted = source(url.format(mark=attempt.mark), attempt.head, access=attempt.access)
    for verb in (lambda: attempt.client.look(wanted), lambda: attempt.client.checkout(wanted, attempt.into)):
        with pytest.raises(GiveUp, match=r"refused|has a password") as caught:
            verb()
        attempt.check(caught.value)
        assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    "ref",
    ["--upload-pack={mark}", "-u{mark}", "refs/heads/../x", "a b", "a:b", "+a", "a^{{}}", "x.lock", "a//b", "/a", "a/",
     "@{{-1}}", "*", "a\\b", "a\nb", "refs/heads/--upload-pack=x"],
)  # fmt: skip
def test_a_ref_is_a_ref_and_nothing_else(ref: str, attempt: Attempt) -> None:
    error = attempt.refused(ref=ref.format(mark=attempt.mark), commit="1" * 40)
    assert "is not a ref" in error.what or "couldn't find remote ref" in error.what


@pytest.mark.parametrize("wrong", ["HEAD", "-h", "--help", "--upload-pack=x", "abc123", "main", "g" * 40, "0" * 41])
def test_a_commit_that_is_no_full_object_name_is_refused(wrong: str, attempt: Attempt) -> None:
    assert "is not a commit" in attempt.refused(commit=wrong).what


@pytest.mark.parametrize("since", ["--output=/tmp/x", "-O/tmp/x", "HEAD", "@{-1}", "a..b"])
def test_what_is_no_commit_is_not_compared_with(since: str, attempt: Attempt) -> None:
    assert attempt.client.look(source(attempt.repository, attempt.head), since).changed is None
    attempt.check()


# -- what is in the repository -----------------------------------------------------------------------


def add(attempt: Attempt, url: str, path: str = "sub", name: str = "sub", more: str = "") -> str:
    text = f'[submodule "{name}"]\n\tpath = {path}\n\turl = "{url}"\n{more}'
    (attempt.repository / ".gitmodules").write_text(text)
    git(attempt.repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(attempt.repository, "add", ".gitmodules")
    git(attempt.repository, "commit", "-qm", "a submodule")
    return attempt.head


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c {mark}", "--upload-pack={mark}", "-u{mark}", "ssh://-oProxyCommand={mark}/x", "git@-oProxyCommand=x:y",
     "ftp://host/x", "", "app", "./-u{mark}\\n"],
)  # fmt: skip
def test_the_address_of_a_submodule_is_held_to_the_rules_for_any(url: str, attempt: Attempt) -> None:
    add(attempt, url.format(mark=attempt.mark))
    error = attempt.refused(submodules=True)
    assert "the submodule 'sub' is refused" in error.what


@pytest.mark.parametrize("url", ["/etc", "file:///etc", "/proc/self/cwd"])
def test_a_submodule_of_a_repository_elsewhere_is_not_on_this_machine(url: str, attempt: Attempt) -> None:
    add(attempt, url)
    with served(attempt.repository) as address:
        error = attempt.refused(address, submodules=True)
    assert "the submodule 'sub' is refused" in error.what
    assert "is local" in error.what


@pytest.mark.parametrize("path", ["../sub", "/etc/sub", "a/../../sub", ".git/modules", "sub/.GIT/x", "-u", "a\\\\b"])
def test_a_submodule_belongs_inside_the_checkout(path: str, attempt: Attempt) -> None:
    add(attempt, "../app", path)
    assert "the submodule 'sub' is refused: its path" in attempt.refused(submodules=True).what


@pytest.mark.parametrize("name", ["../../.git/hooks", "x/../../y", "-u"])
def test_a_submodules_name_leads_nowhere(name: str, attempt: Attempt) -> None:
    add(attempt, "../app", name=name)
    assert "has a name that git does not allow" in attempt.refused(submodules=True).what


def test_a_submodule_runs_no_command_to_be_updated(attempt: Attempt) -> None:
    add(attempt, "../app", more=f"\tupdate = !{attempt.mark}\n[core]\n\tfsmonitor = {attempt.mark}\n")
    assert "there is no commit" in attempt.refused(submodules=True).what


def test_submodules_are_not_read_from_a_link(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ../app\n')
    add(attempt, "../app")
    (attempt.repository / ".gitmodules").unlink()
    (attempt.repository / ".gitmodules").symlink_to(tmp_path / "elsewhere")
    git(attempt.repository, "add", ".gitmodules")
    git(attempt.repository, "commit", "-qm", "a link")
    assert "invalid path '.gitmodules'" in attempt.refused(submodules=True).what  # by git itself


def test_gitmodules_includes_no_other_file(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "included").write_text('[submodule "sub"]\n\turl = ../app\n')
    add(attempt, "", more=f"[include]\n\tpath = {tmp_path / 'included'}\n")
    assert "the submodule 'sub' is refused" in attempt.refused(submodules=True).what


@pytest.mark.parametrize("url", ["file:///etc", "ext::sh -c x", "ssh://-oProxyCommand=x/y", "--upload-pack=x"])
def test_the_lfs_server_that_a_repository_names_is_held_to_the_rules(
    url: str, attempt: Attempt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = tmp_path / "bin" / "git-lfs"
    client.parent.mkdir()
    client.write_text(f"#!/bin/sh\n{attempt.mark}\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    commit(attempt.repository, ".lfsconfig", f'[lfs]\n\turl = "{url}"\n')
    with served(attempt.repository) as address:
        assert "the LFS server in .lfsconfig is refused" in attempt.refused(address, lfs=True).what
        (attempt.repository / ".lfsconfig").unlink()
        (attempt.repository / ".lfsconfig").symlink_to("/etc/gitconfig")
        git(attempt.repository, "add", ".lfsconfig")
        git(attempt.repository, "commit", "-qm", "a link")
        attempt.into = tmp_path / "again"
        assert ".lfsconfig is a symbolic link" in attempt.refused(address, lfs=True).what


def test_nothing_that_looks_like_configuration_is_read_from_the_tree(attempt: Attempt) -> None:
    """A tree that is a bare repository by its looks, with every setting that runs something."""
    config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    config += f"\tfsmonitor = {attempt.mark}\n\tsshCommand = {attempt.mark}\n"
    config += f'\thooksPath = hooks\n\tpager = {attempt.mark}\n[filter "x"]\n\tsmudge = {attempt.mark}\n'
    files = {"HEAD": "ref: refs/heads/main\n", "config": config, "objects/x": "", "refs/x": "", "text": "1",
             "hooks/post-checkout": f"#!/bin/sh\n{attempt.mark}\n", ".gitattributes": "* filter=x diff=x\n",
             ".gitconfig": config, ".mailmap": "A <a@x> <email@x>\n"}  # fmt: skip
    for name, text in files.items():
        (attempt.repository / name).parent.mkdir(exist_ok=True)
        (attempt.repository / name).write_text(text)
    (attempt.repository / "hooks" / "post-checkout").chmod(0o755)
    head = commit(attempt.repository, "version", "2")
    attempt.client.checkout(source(attempt.repository, head, submodules=True), attempt.into)
    assert attempt.client.look(source(attempt.repository, head, history=True)).author == "NAME@x <EMAIL@x>"
    assert (attempt.into / "config").read_text() == config
    assert "fsmonitor" not in (attempt.into / ".git" / "config").read_text()
    attempt.check()


@pytest.mark.parametrize("name", [".git", ".GIT", "..", "git~1"])
def test_a_tree_that_would_write_into_git_s_own_folder_is_not_checked_out(name: str, attempt: Attempt) -> None:
    blob = git(attempt.repository, "hash-object", "-w", "version")
    inner = tree_of(attempt, "100755", "post-checkout", blob)
    outer = tree_of(attempt, "40000", name, tree_of(attempt, "40000", "hooks", inner))
    made = git(attempt.repository, "commit-tree", "-m", "hostile", outer)
    git(attempt.repository, "update-ref", MAIN, made)
    wanted = source(attempt.repository, made)
    with suppress(GiveUp):  # what is no trap on this file system is a name like any other
        attempt.client.checkout(wanted, attempt.into)
    assert not (attempt.into / ".git" / "hooks" / "post-checkout").exists()
    assert not (attempt.into.parent / "hooks").exists()
    attempt.check()


def tree_of(attempt: Attempt, mode: str, name: str, entry: str) -> str:
    """A tree object of one entry, of whatever name."""
    body = f"{mode} {name}\0".encode() + bytes.fromhex(entry)
    done = subprocess.run(["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"], cwd=attempt.repository,
                          input=body, capture_output=True, check=True)  # fmt: skip
    return done.stdout.decode().strip()


# -- what a server does ------------------------------------------------------------------------------


@pytest.fixture
def mute() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that takes connections and never answers; how many are open."""
    server, held = socket.socket(), list[socket.socket]()
    server.bind(("127.0.0.1", 0))
    server.listen()

    def take() -> None:
        with suppress(OSError):
            while True:
                held.append(server.accept()[0])

    def still_open() -> int:
        return sum(is_open(one) for one in held)

    threading.Thread(target=take, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}", still_open
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for one in held:
        one.close()


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
def test_a_server_that_never_answers_is_left_in_time_by_all_processes(
    scheme: str, mute: tuple[str, Callable[[], int]], attempt: Attempt
) -> None:
    address, still_open = mute
    client = GitCli(attempt.mirrors, timeout=1)
    for verb in (client.look, lambda wanted: client.checkout(wanted, attempt.into)):
        with pytest.raises(RetryLater, match="in time with") as caught:
            verb(source(f"{scheme}://{address}/app", NOWHERE, access=attempt.access))
        attempt.check(caught.value)
    wait_for("the end of whoever talked to it", lambda: still_open() == 0)


def test_what_a_server_says_is_shown_without_what_we_told_it(attempt: Attempt) -> None:
    """One that gives back the login that it was sent."""
    with echo() as url, pytest.raises(NodewiseError) as caught:
        attempt.client.look(source(url, NOWHERE, access=attempt.access))
    assert "***" in str(caught.value)
    attempt.check(caught.value)


# -- what is in the tree -----------------------------------------------------------------------------


@pytest.mark.lab
class TestBuilding:
    """Builds of such repositories on a real engine, by the product's own job."""

    @pytest.fixture
    def yard(self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
        monkeypatch.setenv("DATABASE_PASSWORD", SECRETS[1])
        with yard(lab["m1"].docker_host, tmp_path) as opened:
            yield opened

    @pytest.mark.parametrize(
        ("links", "words"),
        [
            ({"Dockerfile": "/etc/passwd"}, ["Dockerfile", "leads out of the checkout"]),
            ({"context": "/etc"}, ["context", "leads out of the checkout"]),
            ({"context": ".."}, ["context", "leads out of the checkout"]),
            ({".dockerignore": "/etc/shadow"}, [".dockerignore", "leads out of the checkout"]),
        ],
    )
    def test_a_link_that_leads_out_is_not_followed(self, yard: Yard, links: dict[str, str], words: list[str]) -> None:
        for name, target in links.items():
            (yard.repository / name).unlink(missing_ok=True)
            (yard.repository / name).symlink_to(target)
        yard.fails(Recipe(context="context" if "context" in links else "."), *words)

    def test_a_context_that_is_too_large_is_not_sent(self, yard: Yard) -> None:
        (yard.repository / "large").write_bytes(os.urandom(2**20))
        yard.fails(
            Recipe(limits=Limits(context=2**19)), "the build context has", "a build may have 0.5 MB", ".dockerignore"
        )

    def test_a_link_in_the_tree_brings_nothing_of_the_machine_into_the_image(self, yard: Yard) -> None:
        (yard.repository / "passwd").symlink_to("/etc/passwd")
        with (yard.repository / "Dockerfile").open("a") as recipe:
            recipe.write('COPY passwd /copied\nRUN ["/bin/sh", "-c", "cat /copied"]\n')
        yard.fails(Recipe(), "passwd")

    @pytest.mark.parametrize("where", ["image", "source"])
    def test_an_endless_log_ends_the_build(self, yard: Yard, where: str) -> None:
        yard.fails(yard.running("yes", where, Limits(log=65536)), "printed more than 65536 characters")
        assert len(yard.log()) < 100_000

    @pytest.mark.parametrize("where", ["image", "source"])
    def test_a_build_that_never_ends_is_ended(self, yard: Yard, where: str) -> None:
        yard.fails(yard.running("sleep 40501", where, Limits(seconds=8.0)), "not done after 8 s")
        wait_for("the end of what it ran", lambda: not sleeps(40501))

    @pytest.mark.parametrize(
        "command",
        [
            "ln -s /etc/passwd out",
            "ln -s ../../.. out",
            "mkdir out && mknod out/null c 1 3",
            "mkdir out && mkfifo out/pipe",
        ],
    )
    def test_what_a_source_build_leaves_is_looked_at_before_it_is_taken_back(self, yard: Yard, command: str) -> None:
        yard.fails(yard.source(command), "out")

    def test_a_source_build_has_no_rights_and_no_secrets_that_are_not_its_own(self, yard: Yard) -> None:
        look = "env; ls /var/run/docker.sock || true; mount -t tmpfs none /mnt && exit 0; echo no rights; exit 3"
        yard.fails(yard.source(look), "exit code 3", "no rights")
        assert "docker.sock: No such file" in yard.log()
