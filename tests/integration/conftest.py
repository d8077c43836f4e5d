"""The real swarm, as the adapters' tests want it: a manager, a worker, a registry with two images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodewise.adapters.managers import Client
from tests.integration.standing_swarm import OnSwarm, standing
from tests.integration.swarm_parts import RealSwarm
from tests.lab.lab import Lab
from tests.lab.registry import Registry

RECIPE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
ARG VERSION
RUN mkdir -p /www && echo "$VERSION" > /www/version
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""


@pytest.fixture(scope="session")
def registry(_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    opened = _lab.open_registry(tmp_path_factory.mktemp("registry"))
    yield opened
    opened.stop()


@pytest.fixture(scope="session")
def pinned_images(_lab: Lab, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A small shell as ``app:v1`` and ``app:v2``, built and pushed without Nodewise's own builder."""
    folder = tmp_path_factory.mktemp("shell")
    shell_context(folder)
    with _lab["m1"].client() as client:
        return _pushed(client, folder, registry, "v1"), _pushed(client, folder, registry, "v2")


@pytest.fixture
def swarm(lab: Lab, registry: Registry, pinned_images: tuple[str, str]) -> Iterator[RealSwarm]:
    parts = RealSwarm(lab, registry.address, *pinned_images)
    yield parts
    lab.await_whole()
    parts.clear()


@pytest.fixture
def on_swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnSwarm]:
    with standing(tmp_path, monkeypatch) as make:
        yield make


def shell_context(folder: Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox, "the package busybox-static is missing"
    shutil.copy2(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text(RECIPE)


def _pushed(client: Client, folder: Path, registry: Registry, tag: str) -> str:
    name = f"{registry.address}/app"
    for line in client.build(str(folder), f"{name}:{tag}", rm=True, decode=True, buildargs={"VERSION": tag}):
        assert "error" not in line, line
    said = list(client.push(name, tag, stream=True, decode=True, auth_config={"username": ""}))
    digest = next(line["aux"]["Digest"] for line in said if line.get("aux"))
    return f"{name}:{tag}@{digest}"
