"""Git in memory: ``nodewise.ports.Git``. A repository is what was committed to it; a checkout writes real files.

Knows no build and tells nobody of a push: that is for whoever commits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nodewise.domain.errors import GiveUp, RetryLater

Files = Mapping[str, str]  # path from the repository's root to text


class SimulatedGit:
    """Every git server there is. ``away``: none of them answers."""

    def __init__(self) -> None:
        self.away = False
        self._commits: dict[str, dict[str, Files]] = {}

    def commit(self, url: str, files: Files) -> str:
        """Commit *files* as the whole tree of the repository at *url*. The commit's id."""
        there = self._commits.setdefault(url, {})
        content = f"{url} {len(there)} {sorted(files.items())}"
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        there[commit] = dict(files)
        return commit

    def checkout(self, url: str, ref: str, commit: str, into: Path) -> None:
        """As ``ports.Git.checkout``. Every commit can be had by its id, so *ref* is not needed to find it."""
        if self.away:
            raise RetryLater(f"git cannot get {url}: connection refused", delay=10.0)
        if url not in self._commits:
            raise GiveUp(f"git cannot get {url}: there is no such repository")
        if commit not in self._commits[url]:
            raise GiveUp(f"git cannot get {url}: there is no commit {commit} in {ref or 'the repository'} (any more)")
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise GiveUp(f"the folder for the checkout of {url} is not empty")
        for path, text in self._commits[url][commit].items():
            file = into / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
