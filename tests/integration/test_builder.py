"""DockerBuilder on a real engine: images, by BuildKit and by the classic builder."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from tests.building import Listener, order_of
from tests.integration.builder_parts import CLIENTS, SECRET, OnTheLab, make_checkout, nobody
from tests.integration.swarm_parts import free_port
from tests.lab.lab import Lab
from tests.lab.registry import Registry

pytestmark = pytest.mark.seconds(60)


class TestBuilding(OnTheLab):
    def test_an_image_is_built_with_its_arguments_and_labels_and_is_still_there(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        said = Listener()
        order = order_of(checkout, tag, args={"VERSION": "7; $x"}, labels={"made.by": "nodewise, $y"})
        image = builder.build(order, said)
        assert builder.has_image(image)
        assert not builder.has_image("sha256:" + "0" * 64)
        assert not builder.has_image("")
        with lab["m1"].client() as client:
            found = client.inspect_image(str(tag))
        assert (found["Id"], found["Config"]["Labels"]) == (image, {"made.by": "nodewise, $y"})
        assert "RUN mkdir -p /www" in said.text
        assert str(tag) in said.text
        assert not [line for line in said.lines if not line.strip() or "\n" in line]

    def test_a_failing_step_is_named_with_the_last_lines_and_no_argument(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path
    ) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write('ARG TOKEN\nRUN echo "the token is $TOKEN" && echo almost && exit 9\nRUN echo never\n')
        said = Listener()
        with pytest.raises(GiveUp) as caught:
            builder.build(order_of(checkout, tag, args={"TOKEN": SECRET}), said)
        text = str(caught.value)
        assert 'RUN echo "the token is ' in text.splitlines()[0]
        assert "code: 9" in text
        assert "the token is ***" in text.splitlines()
        assert "almost" in text.splitlines()
        assert SECRET not in text + said.text
        assert caught.value.__cause__ is None
        assert "echo never" not in said.text

    def test_a_recipe_that_cannot_be_read_is_given_up(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path
    ) -> None:
        (checkout / "Dockerfile").write_text("FROM scratch\nDANCE wildly\n")
        with pytest.raises(GiveUp, match="DANCE") as caught:
            builder.build(order_of(checkout, tag, args={"TOKEN": SECRET}), Listener())
        assert SECRET not in str(caught.value)

    def test_a_base_image_that_is_missing_is_given_up_and_one_out_of_reach_tried_later(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab, plain_registry: Registry
    ) -> None:
        (checkout / "Dockerfile").write_text(f"FROM {plain_registry.address}/never/pushed:v1\n")
        with pytest.raises(GiveUp, match=r"not found|manifest unknown"):
            builder.build(order_of(checkout, tag), Listener())
        (checkout / "Dockerfile").write_text(f"FROM {lab.host}:{free_port(lab.host)}/base:v1\n")
        with pytest.raises(RetryLater, match="refused"):
            builder.build(order_of(checkout, tag), Listener())

    def test_a_recipe_beside_the_context_and_an_ignored_file(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path
    ) -> None:
        context = checkout / "service"
        context.mkdir()
        (checkout / "busybox").rename(context / "busybox")
        (context / "secret").write_text("x")
        (context / ".dockerignore").write_text("# not for the image\nsecret\n")
        (checkout / "deploy.Dockerfile").write_text(
            'FROM scratch\nCOPY . /\nRUN ["/busybox", "test", "!", "-e", "/secret"]\n'
        )
        (checkout / "Dockerfile").unlink()
        assert builder.build(order_of(context, tag, dockerfile="../deploy.Dockerfile"), Listener())

    def test_a_link_out_of_the_checkout_brings_nothing_of_this_machine_into_the_image(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path
    ) -> None:
        (checkout / "etc").symlink_to("/etc")
        (checkout / "Dockerfile").write_text("FROM scratch\nCOPY etc/passwd /\n")
        with pytest.raises(GiveUp, match=r"COPY etc/passwd /: .*(too many links|forbidden path)"):
            builder.build(order_of(checkout, tag), Listener())
        (checkout / "Dockerfile").unlink()
        (checkout / "Dockerfile").symlink_to("/etc/hostname")
        with pytest.raises(GiveUp, match="leads out of the checkout"):
            builder.build(order_of(checkout, tag), Listener())

    def test_only_the_stage_that_is_the_target_is_built(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        recipe = (checkout / "Dockerfile").read_text()
        recipe = recipe.replace("FROM scratch", "FROM scratch AS first") + "LABEL stage=first\nFROM first\nRUN exit 1\n"
        (checkout / "Dockerfile").write_text(recipe)
        image = builder.build(order_of(checkout, tag, target="first"), Listener())
        with lab["m1"].client() as client:
            assert client.inspect_image(image)["Config"]["Labels"] == {"stage": "first"}

    def test_an_image_may_be_for_another_platform(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        (checkout / "Dockerfile").write_text("FROM scratch\nCOPY busybox /\n")
        image = builder.build(order_of(checkout, tag, platform="linux/arm64"), Listener())
        with lab["m1"].client() as client:
            assert client.inspect_image(image)["Architecture"] == "arm64"

    def test_what_one_engine_has_built_another_takes_from_the_cache(
        self,
        builder: DockerBuilder,
        kind: str,
        tag: ImageName,
        checkout: Path,
        lab: Lab,
        plain_registry: Registry,
    ) -> None:
        recipe = (checkout / "Dockerfile").read_text().replace("scratch\n", "scratch\nCOPY unique /\n", 1)
        (checkout / "Dockerfile").write_text(recipe + "RUN cat /proc/sys/kernel/random/uuid > /random\n")
        (checkout / "unique").write_text(str(uuid4()))  # neither engine has a layer of it
        cache = f"{plain_registry.address}/cache:v1"
        said = Listener()
        built = builder.build(order_of(checkout, tag, cache=cache), said)
        assert "not written" not in said.text
        other = DockerBuilder(lab["w1"].docker_host, nobody, CLIENTS[kind])
        again = other.build(order_of(checkout, tag, cache=cache), Listener())
        with lab["m1"].client() as here, lab["w1"].client() as there:
            assert here.inspect_image(built)["RootFS"] == there.inspect_image(again)["RootFS"]
            there.remove_image(str(tag))
            for client in (here, there):
                client.remove_image(cache, force=True)

    def test_a_cache_that_cannot_be_written_is_told_and_no_harm(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        said = Listener()
        cache = f"{lab.host}:{free_port(lab.host)}/cache:v1"
        assert builder.build(order_of(checkout, tag, cache=cache), said)
        assert f"the cache {cache} is not written" in said.text
        with lab["m1"].client() as client:
            client.remove_image(cache)


def test_a_builder_that_does_not_answer_is_tried_later_and_tells_no_argument(tmp_path: Path) -> None:
    builder = DockerBuilder(f"unix://{tmp_path}/none.sock", nobody)
    order = order_of(make_checkout(tmp_path / "checkout"), args={"TOKEN": SECRET})
    with pytest.raises(RetryLater, match=r"no builder answers.*none.sock") as caught:
        builder.build(order, Listener())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    name = ImageName.parse(order.name)
    questions = (
        builder.ping,
        lambda: builder.has_image("x"),
        lambda: builder.push(name, Listener()),
        lambda: builder.clear("build-1"),
    )
    for ask in questions:
        with pytest.raises(RetryLater):
            ask()
