"""This machine's copy of one repository: made once, then only what is new is fetched into it.

A bare repository that can be thrown away at any time. It is made in a room of its own and renamed, and replaced in the
same way when git cannot use it (any more): a process that is killed leaves one that works, or none. Each commit that
was asked for has a ref of ours; a commit without one may have come only in part.

One that was made without history has, as far as the server allows, nothing but the trees of those commits. It is made
anew when the history is wanted for the first time, and has it ever after.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from nodewise.adapters.git.room import alone, if_unused
from nodewise.adapters.git.run import ACCESS, NETWORK, Failed, Git, Late
from nodewise.adapters.git.url import Remote, redact

KEPT = 100  # commits that a mirror has refs for; those that were left out are fetched again when they are wanted
_UNUSED = 30 * 86400.0  # seconds after which a mirror goes
_LOCK = ".lock"  # after a mirror's name: the lock of whoever uses it
_TIDYING = 60.0  # seconds
_COMMITS = "refs/nodewise/commits"
_WHOLE = "nodewise-history"  # a file in a mirror that has the history
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
# What is handed over to a checkout beside it is not worth being made small. Only a repository's own configuration
# reaches the process that serves it.
_QUICK = "[pack]\n\tcompression = 0\n\twindow = 0\n"
_SMALL = ("pack.compression=-1", "pack.window=10")  # git's own defaults, for what stays
_LEFT = ("*.lock", "gc.pid", "refs/**/*.lock", "objects/*.lock", "objects/info/**/*.lock", "objects/pack/*.lock")
_LEFT_PACKS = ("objects/pack/*.keep", "objects/pack/tmp_*", "objects/pack/.tmp-*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a mirror. ``ref``: where to look on servers that give no bare commits; ``anywhere``: in all of
    their branches and tags. ``since``: a commit that may be absent.
    """

    commit: str
    ref: str = ""
    history: bool = False
    since: str = ""
    anywhere: bool = False

    @property
    def refspecs(self) -> tuple[str, ...]:
        """What to fetch by ref. A ref's name is not used for ours: ``a`` and ``a/b`` cannot stand side by side."""
        if self.anywhere:
            return ("+refs/heads/*:refs/nodewise/heads/*", "+refs/tags/*:refs/nodewise/tags/*")
        return (f"+{self.ref}:refs/nodewise/refs/{hashlib.sha256(self.ref.encode()).hexdigest()}",) if self.ref else ()


@dataclass(frozen=True, slots=True)
class Found:
    """Commits, tags peeled. ``since`` is empty where there is none (any more)."""

    commit: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    """That of *remote* below *folder*. *git*: on its way to the remote. *room*: on the same file system."""

    folder: Path
    remote: Remote
    git: Git
    room: Path

    def use(self, wanted: Wanted, do: Callable[[Git, Found], T]) -> T:
        """What *do* makes of the mirror once it has what is wanted, alone with it. *do* may be called once more, for
        one that was made anew.

        Raises Failed, Late, and RetryLater where others are busy with it for too long.
        """
        path = self.folder / f"{self.remote.name}.{object_format(wanted.commit)}"
        what = f"the copy of {redact(self.remote.url)}"
        with alone(path.with_name(path.name + _LOCK), self.git.until, what) as tell:
            git = Git(self.git.environment, self.git.until, tell=tell)
            if _serves(path, wanted):
                _clear(path)
                done = self._used(git.bare(path), wanted, do)
                if done:
                    return done[0]
            return self._anew(git, path, wanted, do)

    def _used(self, git: Git, wanted: Wanted, do: Callable[[Git, Found], T]) -> tuple[T] | None:
        """None where the mirror is at fault."""
        try:
            found = self._bring(git, wanted, _is_whole(git))
        except Failed as error:
            if error.of_the_other_side:
                raise
            return None
        try:
            done = (do(git, found),)
        except Failed:  # nobody else had a part in it
            return None
        _tidy(git, (wanted.commit, wanted.since))
        return done

    def _anew(self, git: Git, path: Path, wanted: Wanted, do: Callable[[Git, Found], T]) -> T:
        """A mirror that takes the place of the one that there was, if any, once it has proved to be good."""
        fresh = self.room / f"mirror-{uuid4().hex}"
        form = object_format(wanted.commit)
        git("init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(fresh))
        (fresh / "description").write_text(f"{redact(self.remote.url)}\n")
        with (fresh / "config").open("a") as config:
            config.write(_QUICK)
        if wanted.history:
            (fresh / _WHOLE).touch()
        done = do(git.bare(fresh), self._bring(git.bare(fresh), wanted, wanted.history))
        if path.exists():
            path.rename(self.room / f"old-{uuid4().hex}")
        fresh.rename(path)
        return done

    def _bring(self, git: Git, wanted: Wanted, whole: bool) -> Found:
        url = self.remote.url
        depth = ("--update-shallow",) if whole else ("--depth=1",)
        if not _peeled(git, _ref(wanted.commit)):
            _fetch(git, url, wanted, depth)
        commit = _peeled(git, _ref(wanted.commit))
        if not commit:
            with suppress(Failed):
                git("update-ref", "-d", _ref(wanted.commit))
            raise Failed(f"{wanted.commit} is not a commit, nor a tag of one")
        if wanted.history:
            git(*_FETCH, "--update-shallow", "--prune", "--", url, "+refs/tags/*:refs/tags/*")
        return Found(commit, _older(git, url, wanted.since, depth) if wanted.since else "")


def remove_unused(folder: Path, room: Path) -> None:
    """Remove the mirrors below *folder* that nobody has used for a month. *room*: as a Mirror's."""
    since = time.time() - _UNUSED
    for lock in folder.glob(f"*{_LOCK}"):
        path = lock.with_name(lock.name.removesuffix(_LOCK))
        with if_unused(lock, since) as unused:
            if unused and path.exists():
                path.rename(room / f"old-{uuid4().hex}")


def _fetch(git: Git, url: str, wanted: Wanted, depth: tuple[str, ...]) -> None:
    ref = _ref(wanted.commit)
    try:
        git(*_FETCH, *depth, "--", url, f"+{wanted.commit}:{ref}")
    except Failed as error:
        if not wanted.refspecs or error.says(*NETWORK, *ACCESS):
            raise
        git(*_FETCH, "--prune", "--", url, *wanted.refspecs)
        try:
            git("cat-file", "-e", wanted.commit)  # which knows that zeros are no object
            git("update-ref", ref, wanted.commit)
        except Failed:
            where = wanted.ref or "the repository"
            raise Failed(f"there is no commit {wanted.commit} in {where} (any more)") from None


def _older(git: Git, url: str, since: str, depth: tuple[str, ...]) -> str:
    """The commit of *since*, if it is here or to be had. Raises Failed only where the server cannot be reached."""
    if found := _peeled(git, since):
        return found
    try:
        git(*_FETCH, *depth, "--", url, f"+{since}:{_ref(since)}")
    except Failed as error:
        if error.says(*NETWORK, *ACCESS):
            raise
        return ""
    return _peeled(git, _ref(since))


def _peeled(git: Git, name: str) -> str:
    """The commit that *name* leads to; empty where there is none."""
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    except Failed:
        return ""


def object_format(commit: str) -> str:
    """That of the repository that a full object name is from."""
    return "sha1" if len(commit) == 40 else "sha256"


def _ref(commit: str) -> str:
    return f"{_COMMITS}/{commit}"


def _serves(path: Path, wanted: Wanted) -> bool:
    return (path / "HEAD").exists() and (not wanted.history or (path / _WHOLE).exists())


def _is_whole(git: Git) -> bool:
    return (Path(git.place[-1]) / _WHOLE).exists()


def _clear(path: Path) -> None:
    """Remove what a killed git has left: locks, packs that are not whole."""
    for pattern in (*_LEFT, *_LEFT_PACKS):
        for left in path.glob(pattern):
            left.unlink(missing_ok=True)


def _tidy(git: Git, needed: tuple[str, ...]) -> None:
    """Let go of the oldest commits, and of what nothing leads to; most times that is two looks and no more.

    Nobody else reads the mirror meanwhile. What does not work out, or takes too long, is left to the next one.
    """
    now = time.monotonic()
    git = replace(git, until=now + min(_TIDYING, (git.until - now) / 2))
    with suppress(Failed, Late):
        refs = git("for-each-ref", "--sort=-creatordate", "--format=%(refname)", _COMMITS).split()
        for ref in refs[KEPT:]:
            if ref.rpartition("/")[2] not in needed:
                git("update-ref", "-d", ref)
        git("gc", "--auto", "--quiet", "--prune=now", settings=("gc.auto=6700", *_SMALL))
