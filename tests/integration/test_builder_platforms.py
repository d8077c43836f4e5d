"""DockerBuilder on a real engine with a real registry: images for several platforms, and their index."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.registry.oci import OciRegistry
from nodewise.domain import platforms
from nodewise.domain.images import ImageName
from tests.building import Listener, order_of
from tests.integration.builder_parts import OnTheLab, nobody
from tests.lab.lab import Lab

pytestmark = pytest.mark.seconds(20)
PLATFORMS = ("linux/amd64", "linux/arm64")


class TestSeveralPlatforms(OnTheLab):
    def test_a_recipe_that_only_copies_is_built_for_each_and_the_engine_takes_its_own_of_the_index(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        (checkout / "Dockerfile").write_text("FROM scratch\nCOPY busybox /\n")
        names, said, parts = platforms.names(str(tag), PLATFORMS), Listener(), {}
        ids = [builder.build(order_of(checkout, name, platform=p), said) for p, name in names.items()]
        assert len(set(ids)) == len(PLATFORMS)
        for platform, name in names.items():
            with lab["m1"].client() as client:
                assert client.inspect_image(str(name))["Architecture"] == platform.partition("/")[2]
            parts[platform] = builder.push(name, said)
        registry = OciRegistry(nobody, lambda name: f"http://{name}")
        digest = registry.index(tag, parts)
        resolved = SwarmEngine([lab["m1"].docker_host], nobody).resolve(tag)
        assert resolved.digest == digest
        assert [(p["OS"], p["Architecture"]) for p in resolved.platforms] == [tuple(p.split("/")) for p in PLATFORMS]
        with lab["w1"].client() as client:
            client.pull(tag.repository, tag.tag)
            found = client.inspect_image(str(tag))
            client.remove_image(str(tag))
        assert found["Architecture"] == "amd64"
        assert found["RepoDigests"] == [str(tag.with_tag("").pinned(digest))]
