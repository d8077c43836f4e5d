"""Git in memory: ``nodewise.ports.Git``. A repository is what was committed to it; a checkout writes real files.

Knows no build and tells nobody of a push: that is for whoever commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.recipe import Commit, Source

Files = Mapping[str, str]  # path from the repository's root to text


@dataclass(frozen=True, slots=True)
class _Made:
    commit: Commit
    files: Files


class SimulatedGit:
    """Every git server there is. ``away``: none of them answers. A repository's commits are in the order they came."""

    def __init__(self) -> None:
        self.away = False
        self._made: dict[str, dict[str, _Made]] = {}
        self._tags: dict[str, dict[str, str]] = {}  # by repository, then commit

    def commit(
        self,
        url: str,
        files: Files,
        message: str = "a change",
        author: str = "Ada <ada@example.org>",
        at: float = 0.0,
    ) -> str:
        """Commit *files* as the whole tree of the repository at *url*. The commit's id."""
        there = self._made.setdefault(url, {})
        content = f"{url} {len(there)} {sorted(files.items())}"
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        there[commit] = _Made(Commit(commit, author, message.strip(), at), dict(files))
        return commit

    def tag(self, url: str, commit: str, name: str) -> None:
        """Name a commit."""
        self._tags.setdefault(url, {})[commit] = name

    def look(self, source: Source, since: str = "") -> Commit:
        """As ``ports.Git.look``. Every commit can be had by its id, so the ref is not needed to find it."""
        made = self._found(source)
        older = self._made[source.repository].get(since)
        return Commit(
            made.commit.id,
            made.commit.author,
            made.commit.message,
            made.commit.at,
            self._described(source) if source.history else "",
            _changed(older.files, made.files) if older else None,
        )

    def checkout(self, source: Source, into: Path) -> None:
        """As ``ports.Git.checkout``. There are no submodules, and no LFS."""
        files = self._found(source).files
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise GiveUp(f"the folder for the checkout of {source.repository} is not empty")
        for path, text in files.items():
            file = into / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def _found(self, source: Source) -> _Made:
        url, commit = source.repository, source.commit
        if self.away:
            raise RetryLater(f"git cannot get {url}: connection refused", delay=10.0)
        if url not in self._made:
            raise GiveUp(f"git cannot get {url}: there is no such repository")
        if commit not in self._made[url]:
            where = source.ref or "the repository"
            raise GiveUp(f"git cannot get {url}: there is no commit {commit} in {where} (any more)")
        return self._made[url][commit]

    def _described(self, source: Source) -> str:
        """By the nearest tag before it: ``v1.0.0``, or ``v1.0.0-2-gabcdef0`` two commits later."""
        order = list(self._made[source.repository])
        tags = self._tags.get(source.repository, {})
        before = order[order.index(source.commit) :: -1]
        return next((_name(tags[c], n, source.commit) for n, c in enumerate(before) if c in tags), "")


def _name(tag: str, later: int, commit: str) -> str:
    return f"{tag}-{later}-g{commit[:7]}" if later else tag


def _changed(old: Files, new: Files) -> tuple[str, ...]:
    return tuple(sorted(path for path in {*old, *new} if old.get(path) != new.get(path)))
