"""One repository within one call: its mirror, what is read of a commit there, and a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nodewise.adapters.git_access import LOCAL, REMOTE, Keys, environment, secrets_of
from nodewise.adapters.git_mirror import Found, Mirror, Wanted, object_format
from nodewise.adapters.git_run import Failed, Git, translated
from nodewise.adapters.git_url import Remote, redact
from nodewise.domain.recipe import Commit

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

    def look(self) -> Commit:
        """What git says of the commit."""
        with self._git() as git:
            return self._mirror(git).use(self.wanted, lambda here, found: _read(here, found, self.wanted.history))

    def checkout(self, into: Path) -> None:
        """The commit, in the empty folder *into*."""
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
    here(*fetch, mirror.place[-1], found.commit, settings=("protocol.version=2",))
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
