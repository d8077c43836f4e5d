"""One repository within one call: its mirror, what is read of a commit there, and a checkout with all that is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nodewise.adapters.git import lfs
from nodewise.adapters.git.access import LOCAL, REMOTE, Keys, environment, secrets_of
from nodewise.adapters.git.mirror import Found, Mirror, Wanted, object_format
from nodewise.adapters.git.run import Failed, Git, translated
from nodewise.adapters.git.submodules import Submodule, submodules
from nodewise.adapters.git.url import Remote, redact
from nodewise.domain.errors import GiveUp
from nodewise.domain.recipe import Commit

_DEEPEST = 10  # submodules in submodules
_NO_NAME = ("no names found", "cannot describe", "no tags can describe", "no annotated tags can describe")


@dataclass(frozen=True, slots=True)
class Visit:
    """*wanted* of *remote*. *mirrors*: where mirrors are. *room*: for this call. *until*: on the monotonic clock."""

    remote: Remote
    wanted: Wanted
    keys: Keys
    mirrors: Path
    room: Path
    until: float
    lfs: bool = False
    submodules: bool = False
    depth: int = 0

    def look(self) -> Commit:
        """What git says of the commit."""
        with self._git() as git:
            return self._mirror(git).use(self.wanted, lambda here, found: _read(here, found, self.wanted.history))

    def checkout(self, into: Path) -> None:
        """The commit, its files in LFS and its submodules where they are wanted, in the empty folder *into*."""
        with self._git() as git:
            tree = git.tree(into)
            git(
                "init",
                "--quiet",
                "--template=",
                f"--object-format={object_format(self.wanted.commit)}",
                "--",
                str(into),
            )
            found = self._mirror(git).use(self.wanted, lambda here, found: _handed_over(here, tree, found))
            tree("checkout", "--quiet", "--detach", found.commit)
            head = tree("rev-parse", "HEAD").strip()
            if head != found.commit:
                raise Failed(f"git checked out {head} instead of {found.commit}")
            if self.lfs:
                lfs.pull(tree, self.remote)
            if self.submodules:
                for submodule in submodules(tree, into, self.remote):
                    self._within(submodule).checkout(into / submodule.path)

    def _within(self, submodule: Submodule) -> Visit:
        if self.depth >= _DEEPEST:
            raise GiveUp(f"the submodule {submodule.name!r} is {_DEEPEST} submodules deep", "no more are followed")
        wanted = Wanted(submodule.commit, anywhere=True)
        return replace(self, remote=submodule.remote, wanted=wanted, depth=self.depth + 1)

    @contextmanager
    def _git(self) -> Iterator[Git]:
        """git on its way to the remote, and its errors as the caller's."""
        protocols = f"{REMOTE}:{LOCAL}" if self.remote.local else REMOTE
        secrets = (*self.keys.secrets, *(secrets_of(self.remote.login) if self.remote.site else ()))
        with translated(redact(self.remote.url, secrets), secrets):
            yield Git(environment(self.remote, self.keys, self.room, protocols), self.until)

    def _mirror(self, git: Git) -> Mirror:
        return Mirror(self.mirrors, self.remote, git, self.room)


def _handed_over(mirror: Git, tree: Git, found: Found) -> Found:
    """Bring the one commit from the mirror into a checkout."""
    here, fetch = tree.allowing(LOCAL), ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head")
    here(*fetch, mirror.place[-1], found.commit, settings=("protocol.version=2", "fetch.unpackLimit=1"))
    return found


def _read(git: Git, found: Found, history: bool) -> Commit:
    shown = git("show", "-s", "--no-notes", "--no-show-signature", "--no-color", "--encoding=UTF-8", "--no-mailmap",
                "--format=%an <%ae>%x00%ct%x00%B", found.commit)  # fmt: skip
    author, at, message = shown.split("\0", 2)
    described = _described(git, found.commit) if history else ""
    return Commit(found.commit, author, message.strip(), float(at), described, _changed(git, found))


def _described(git: Git, commit: str) -> str:
    try:
        return git("describe", "--tags", commit).strip()
    except Failed as error:
        if error.says(*_NO_NAME):
            return ""
        raise


def _changed(git: Git, found: Found) -> tuple[str, ...] | None:
    if not found.since:
        return None
    paths = git("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", found.since, found.commit)
    return tuple(path for path in paths.split("\0") if path)
