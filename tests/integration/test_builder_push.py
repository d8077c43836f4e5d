"""DockerBuilder on a real engine with a real registry: pushes, and logins."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.adapters.engine import SwarmEngine
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from tests.building import Listener, order_of
from tests.integration.builder_parts import CLIENTS, OnTheLab, nobody
from tests.integration.swarm_parts import LOGIN, free_port, private_registry
from tests.lab.lab import Lab

pytestmark = pytest.mark.seconds(20)


class TestPushing(OnTheLab):
    def test_the_digest_is_the_one_that_the_registry_gives_out(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        said = Listener()
        builder.build(order_of(checkout, tag), said)
        digest = builder.push(tag, said)
        assert SwarmEngine([lab["m1"].docker_host], nobody).resolve(tag).digest == digest
        assert builder.push(tag, said) == digest
        assert builder._engine.recorded(tag) == digest
        assert len(said.lines) < 60, "progress floods the log"

    def test_a_registry_out_of_reach_is_tried_later(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        builder.build(order_of(checkout, tag), Listener())
        down = ImageName(f"{lab.host}:{free_port(lab.host)}", "app", "v1")
        with lab["m1"].client() as client:
            client.tag(str(tag), down.repository, down.tag)
            with pytest.raises(RetryLater, match="refused"):
                builder.push(down, Listener())
            client.remove_image(str(down))

    def test_a_private_registry_takes_the_login_for_pushes_and_base_images(
        self, lab: Lab, tag: ImageName, checkout: Path, tmp_path: Path, kind: str, plain_port: int
    ) -> None:
        with private_registry(lab.host, tmp_path, plain_port) as registry:
            private = ImageName(registry, "app", "v1")
            host, client_name = lab["m1"].docker_host, CLIENTS[kind]
            builder = DockerBuilder(host, lambda name: LOGIN if name == registry else None, client_name)
            builder.build(order_of(checkout, private), Listener())
            with pytest.raises(GiveUp, match=r"no basic auth|unauthorized|authentication") as caught:
                DockerBuilder(host, nobody, client_name).push(private, Listener())
            assert "registries:" in caught.value.hint
            assert builder.push(private, Listener()).startswith("sha256:")
            with lab["m1"].client() as client:
                client.remove_image(str(private))
            (checkout / "Dockerfile").write_text(f"FROM {private}\nLABEL a={registry}\n")
            with pytest.raises(GiveUp) as caught:
                DockerBuilder(host, nobody, client_name).build(order_of(checkout, tag), Listener())
            assert "registries:" in caught.value.hint
            assert builder.build(order_of(checkout, tag), Listener())
            with lab["m1"].client() as client:
                if client.images(name=private.repository):
                    client.remove_image(str(private), force=True)


class TestAnImageThatIsNotThere(OnTheLab):
    def test_it_is_given_up(self, tag: ImageName, lab: Lab) -> None:
        with pytest.raises(GiveUp, match="does not exist locally"):
            DockerBuilder(lab["m1"].docker_host, nobody).push(tag, Listener())
