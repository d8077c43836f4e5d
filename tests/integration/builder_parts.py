"""What the builder's tests share on the lab: a checkout, and a builder of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.domain.images import ImageName
from tests.lab import shell
from tests.lab.lab import Lab
from tests.lab.node import PLAIN_PORT
from tests.lab.registry import Registry
from tests.lab.turns import one_at_a_time

SECRET = "s3cret-argument"
CLIENTS = {"classic": "", "buildkit": "docker"}


def nobody(_: str) -> None:
    return None


def make_checkout(folder: Path) -> Path:
    (folder / ".git").mkdir(parents=True)
    shell.context(folder)
    return folder


class OnTheLab:
    """The marker below applies to every test of the class; those that want a ``builder`` run once on each kind."""

    pytestmark = pytest.mark.lab

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        return make_checkout(tmp_path / "checkout")

    @pytest.fixture(params=CLIENTS)
    def kind(self, request: pytest.FixtureRequest) -> str:
        return request.param

    @pytest.fixture
    def builder(self, lab: Lab, kind: str) -> DockerBuilder:
        builder = DockerBuilder(lab["m1"].docker_host, nobody, CLIENTS[kind])
        assert bool(builder._buildkit()) == (kind == "buildkit"), "no docker client here can speak to BuildKit"
        return builder

    @pytest.fixture
    def plain_port(self) -> Iterator[int]:
        """Of a registry that BuildKit may pull from."""
        with one_at_a_time("plain-registry"):
            yield PLAIN_PORT

    @pytest.fixture
    def plain_registry(self, lab: Lab, plain_port: int, tmp_path: Path) -> Iterator[Registry]:
        opened = lab.open_registry(tmp_path / "plain-registry", port=plain_port)
        yield opened
        opened.stop()

    @pytest.fixture
    def tag(self, lab: Lab, registry: Registry, request: pytest.FixtureRequest) -> Iterator[ImageName]:
        name = ImageName.parse(f"{registry.address}/built/{crc32(request.node.name.encode())}:v1")
        yield name
        with lab["m1"].client() as client:
            for image in client.images(name=name.repository):
                for tag in image["RepoTags"] or ():
                    client.remove_image(tag)
