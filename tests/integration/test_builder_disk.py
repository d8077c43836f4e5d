"""The disk of a real engine that builds: names are taken off, what is in use stays, and free space is told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import docker
import pytest

from nodewise.adapters.builds.disk import free_space, remove_image
from nodewise.adapters.builds.engine import BuildEngine
from nodewise.domain.errors import RetryLater
from nodewise.domain.images import ImageName
from tests.lab import app
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture
def host(lab: Lab) -> str:
    return lab["w1"].docker_host


@pytest.fixture
def engine(host: str) -> BuildEngine:
    return BuildEngine(host, lambda _: None)


@pytest.fixture
def client(lab: Lab) -> Iterator[docker.APIClient]:
    with lab["w1"].client() as opened:
        yield opened


@pytest.fixture
def image(client: docker.APIClient) -> ImageName:
    """Built under a name of its own."""
    name = ImageName.parse(f"nodewise-disk-{uuid.uuid4().hex[:8]}:1")
    app.build(client, str(name), uuid.uuid4().hex)
    return name


def test_a_name_is_taken_off_and_the_image_goes_with_its_last_one(engine, client, image):
    made = client.inspect_image(str(image))["Id"]
    client.tag(made, str(image.with_tag("")), "2")
    remove_image(engine, image)
    assert client.inspect_image(made)["RepoTags"] == [str(image.with_tag("2"))]
    remove_image(engine, image)  # gone already
    remove_image(engine, image.with_tag("2"))
    with pytest.raises(docker.errors.ImageNotFound):
        client.inspect_image(made)


def test_what_is_in_use_stays(engine, client, image):
    container = client.create_container(str(image))
    try:
        remove_image(engine, image)
        assert client.inspect_image(str(image))
    finally:
        client.remove_container(container)
    remove_image(engine, image)
    with pytest.raises(docker.errors.ImageNotFound):
        client.inspect_image(str(image))


def test_a_digest_that_the_engine_does_not_have_is_gone_already(engine, image):
    remove_image(engine, image.with_tag("").pinned("sha256:" + "0" * 64))
    remove_image(engine, image)


def test_free_space_is_told_of_an_engine_of_this_machine_alone(engine):
    assert free_space(engine) > 2**20
    assert free_space(BuildEngine("tcp://10.77.0.14:2375", lambda _: None)) is None


def test_an_engine_that_does_not_answer_is_asked_again_later():
    away = BuildEngine("unix:///run/nodewise-nobody.sock", lambda _: None)
    with pytest.raises(RetryLater):
        remove_image(away, ImageName.parse("web:1"))
    with pytest.raises(RetryLater):
        free_space(away)
