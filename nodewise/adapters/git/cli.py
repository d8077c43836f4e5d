"""Repositories with the git command line: ``nodewise.ports.Git``.

Everything that came from outside is data: checked first (``url``), after ``--`` where git has one, and given to a
git that runs nothing of what a repository brings along (``run``). Keys and passwords go to it through private files
(``access``). What was fetched once stays in a mirror (``mirror``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodewise.adapters.git.access import Keys
from nodewise.adapters.git.mirror import Wanted, remove_unused
from nodewise.adapters.git.room import room
from nodewise.adapters.git.url import check_commit, check_ref, parse_url, redact
from nodewise.adapters.git.visit import Visit
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.recipe import Commit, Source


class GitCli:
    """git as a child process. *mirrors*: a folder for copies of repositories, which several workers may share.

    *timeout*: seconds for one whole call; then git's process group is killed. *allow_local*: let absolute paths and
    ``file:///`` through, which only tests and single machines want.
    """

    def __init__(self, mirrors: Path, timeout: float = 300.0, allow_local: bool = False) -> None:
        self._mirrors = mirrors.absolute()
        self._timeout = timeout
        self._allow_local = allow_local

    def look(self, source: Source, since: str = "") -> Commit:
        """Bring the commit (or that which the tag object of this id names) into the mirror, and read it.

        *since*: an older commit; anything else that is said there is to no avail. Raises GiveUp (no such repository, no
        such commit, no access) or RetryLater (network), with git's own words.
        """
        with self._visit(source, since) as visit:
            return visit.look()

    def checkout(self, source: Source, into: Path) -> None:
        """Exactly the commit, in the empty folder *into*, with a ``.git`` of its own. Raises as ``look`` does."""
        with self._visit(source) as visit:
            into.mkdir(parents=True, exist_ok=True)
            if any(into.iterdir()):
                raise GiveUp(f"the folder for the checkout of {redact(source.repository)} is not empty")
            visit.checkout(into.absolute())

    @contextmanager
    def _visit(self, source: Source, since: str = "") -> Iterator[Visit]:
        remote = parse_url(source.repository, self._allow_local)
        wanted = Wanted(check_commit(source.commit), check_ref(source.ref), source.history, _older(since))
        keys = Keys.read(remote, source.access)
        until = time.monotonic() + self._timeout
        try:
            self._mirrors.mkdir(mode=0o700, parents=True, exist_ok=True)
            with room(self._mirrors / "rooms") as mine:
                yield Visit(remote, wanted, keys, self._mirrors, mine, until, source.lfs, source.submodules)
                remove_unused(self._mirrors, mine)
        except OSError as error:
            what = f"git cannot work on this machine: {error}"
            raise RetryLater(what, "check rights and the space on the disk", delay=30.0) from error


def _older(since: str) -> str:
    """*since* where it can be a commit: a hook says nothing but zeros of a branch that is new."""
    try:
        return check_commit(since) if since.strip("0") else ""
    except GiveUp:
        return ""
