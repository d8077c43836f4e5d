"""A build and push of the sample app, beside ``docker build`` and ``docker push`` by hand on the same engine.

In each round both sides build the same change of the app: ours from a git push, measured from the moment at which the
build begins to the registry's digest, checkout included; by hand in a folder where the sources are already. Both by
BuildKit, with the layers of the round before. And, beside it, what a person waits for: from ``git push`` to the digest.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from tests.bench.report import Bar, close, spread
from tests.gitrepo import Repository
from tests.lab.app import fill
from tests.lab.lab import Lab, in_use
from tests.ports import free_port
from tests.product import wait_for
from tests.scene import Scene, open_scene

ROUNDS = 9
RATIO, ALLOWANCE = 1.05, 0.3  # seconds
SECRET = "secret-of-the-git-hook"
CLIENT = "/usr/bin/docker"  # Debian's own, which has BuildKit in it


def main() -> int:
    ours: list[float] = []
    hands: list[float] = []
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as name, in_use():
        Lab.up()  # a port of its host is wanted before the scene opens
        folder = Path(name)
        port = free_port(Lab.host)
        build = {
            "git": str(folder / "app.git"),
            "refs": ["refs/tags/v*"],
            "image": f"{Lab.host}:{port}/bench/ours:{{version}}",
        }
        config = {"hooks": {"git": {"provider": "git", "secrets": [SECRET]}}, "builds": {"app": build}}
        with open_scene(
            "build", notify=False, config=config, registry_port=port, NODEWISE_GIT_ALLOW_LOCAL="true"
        ) as scene:
            sides = Sides(scene, folder)
            for number in range(ROUNDS + 1):
                wait, taken = sides.by_push(f"1.0.{number}")
                by_hand = sides.by_hand(f"1.0.{number}")
                if number:  # the first round fills the caches
                    ours.append(taken)
                    waits.append(wait)
                    hands.append(by_hand)
    print(f"build and push: ours {spread(ours, 's', 2)}")
    print(f"build and push: by hand {spread(hands, 's', 2)}")
    print(f"from git push to the digest in the registry: {spread(waits, 's', 2)}")
    bar = RATIO * statistics.median(hands) + ALLOWANCE
    return close([Bar("build", statistics.median(ours), "s", round(bar, 2))])


class Sides:
    """One repository for ours, one folder for the hand."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene, self.folder = scene, folder
        (folder / "secret").write_text(SECRET)
        self.repository = Repository(
            folder / "app.git", folder / "clone", f"{scene.product.url}/hooks/git", folder / "secret"
        )
        for place in (self.repository.clone, folder / "hand"):
            fill(place, "0")

    def by_push(self, version: str) -> tuple[float, float]:
        """Seconds from git push to the digest, and those of the build itself."""
        (self.repository.clone / "www" / "version").write_text(f"{version}\n")
        commit = self.repository.commit(version)
        self.repository.git("tag", f"v{version}")
        began = time.time()
        self.repository.git("push", "-q", "origin", "main", f"v{version}")
        wait_for("the digest", lambda: self._there("ours", version), 60, 0.01)
        arrived = time.time()
        build = wait_for("the build's end", lambda: self._ended(commit), 60, 0.02)
        assert build["state"] == "pushed", build
        return arrived - began, build["ended_at"] - build["started_at"]

    def by_hand(self, version: str) -> float:
        """Seconds of docker build and docker push."""
        (self.folder / "hand" / "www" / "version").write_text(f"{version}\n")
        image = f"{self.scene.registry.address}/bench/hand:{version}"
        began = time.time()
        self._docker("build", "-q", "-t", image, str(self.folder / "hand"))
        self._docker("push", "-q", image)
        taken = time.time() - began
        assert self._there("hand", version)
        return taken

    def _docker(self, *words: str) -> None:
        env = {**os.environ, "DOCKER_HOST": self.scene.lab.managers[0].docker_host, "DOCKER_BUILDKIT": "1"}
        subprocess.run([CLIENT, *words], env=env, check=True, capture_output=True)

    def _there(self, name: str, tag: str) -> bool:
        kind = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        url = f"http://{self.scene.registry.address}/v2/bench/{name}/manifests/{tag}"
        return requests.head(url, headers=kind, timeout=5).ok

    def _ended(self, commit: str) -> dict[str, Any] | None:
        found = [b for b in self.scene.product.get("builds")["builds"] if b["commit"] == commit]
        return found[0] if found and found[0]["ended_at"] else None
