"""DockerBuilder on a real engine with a real registry; and the guard of the build context."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from nodewise.adapters.builder import DockerBuilder
from nodewise.adapters.buildlog import BuildLog
from nodewise.adapters.context import Context
from nodewise.adapters.engine import SwarmEngine
from nodewise.adapters.managers import connect
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from tests.integration.swarm_parts import LOGIN, free_port, private_registry
from tests.lab import shell
from tests.lab.lab import Lab
from tests.lab.registry import Registry

SECRET = "s3cret-argument"


def nobody(_: str) -> None:
    return None


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / ".git").mkdir(parents=True)
    shell.context(folder)
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


# The real thing


class OnTheLab:
    """The marker below applies to every test of the class."""

    pytestmark = pytest.mark.lab

    @pytest.fixture
    def builder(self, lab: Lab) -> DockerBuilder:
        return DockerBuilder(lab["m1"].docker_host, nobody)

    @pytest.fixture
    def tag(self, lab: Lab, registry: Registry, request: pytest.FixtureRequest) -> Iterator[ImageName]:
        name = ImageName.parse(f"{registry.address}/built/{crc32(request.node.name.encode())}:v1")
        yield name
        with lab["m1"].client() as client:
            for image in client.images(name=name.repository):
                for tag in image["RepoTags"] or ():
                    client.remove_image(tag)


class TestBuilding(OnTheLab):
    def test_an_image_is_built_with_its_arguments_and_labels_and_is_still_there(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str], lab: Lab
    ) -> None:
        image = builder.build(checkout, "Dockerfile", tag, {"VERSION": "7; $x"}, {"made.by": "nodewise"}, said.append)
        assert builder.has_image(image)
        assert not builder.has_image("sha256:" + "0" * 64)
        assert not builder.has_image("")
        with lab["m1"].client() as client:
            found = client.inspect_image(str(tag))
        assert (found["Id"], found["Config"]["Labels"]) == (image, {"made.by": "nodewise"})
        assert said[0] == "Step 1/7 : FROM scratch"
        assert said[-1] == f"Successfully tagged {tag}"

    def test_a_failing_step_is_named_with_the_last_lines_and_no_argument(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str]
    ) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write('ARG TOKEN\nRUN echo "the token is $TOKEN" && echo almost && exit 9\nRUN echo never\n')
        with pytest.raises(GiveUp) as caught:
            builder.build(checkout, "Dockerfile", tag, {"TOKEN": SECRET}, {}, said.append)
        text = str(caught.value)
        assert 'Step 8/9 : RUN echo "the token is $TOKEN"' in text
        assert "returned a non-zero code: 9" in text
        assert "almost" in text.splitlines()
        assert SECRET not in text
        assert caught.value.__cause__ is None
        assert "never" not in "\n".join(said)

    def test_a_recipe_that_cannot_be_read_is_given_up(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str]
    ) -> None:
        (checkout / "Dockerfile").write_text("FROM scratch\nDANCE wildly\n")
        with pytest.raises(GiveUp, match="DANCE") as caught:
            builder.build(checkout, "Dockerfile", tag, {"TOKEN": SECRET}, {}, said.append)
        assert SECRET not in str(caught.value)

    def test_a_base_image_that_is_missing_is_given_up_and_one_out_of_reach_tried_later(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str], lab: Lab, registry: Registry
    ) -> None:
        (checkout / "Dockerfile").write_text(f"FROM {registry.address}/never/pushed:v1\n")
        with pytest.raises(GiveUp, match=r"not found|manifest unknown"):
            builder.build(checkout, "Dockerfile", tag, {}, {}, said.append)
        (checkout / "Dockerfile").write_text(f"FROM {lab.host}:{free_port(lab.host)}/base:v1\n")
        with pytest.raises(RetryLater, match="refused"):
            builder.build(checkout, "Dockerfile", tag, {}, {}, said.append)

    def test_a_recipe_beside_the_context_and_an_ignored_file(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str]
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
        assert builder.build(context, "../deploy.Dockerfile", tag, {}, {}, said.append)

    def test_a_build_that_takes_too_long_is_given_up(
        self, tag: ImageName, checkout: Path, said: list[str], lab: Lab
    ) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write("RUN sleep 30\n")
        with pytest.raises(GiveUp, match="not done after 3 s"):
            DockerBuilder(lab["m1"].docker_host, nobody, timeout=3).build(
                checkout, "Dockerfile", tag, {}, {}, said.append
            )


class TestPushing(OnTheLab):
    def test_the_digest_is_the_one_that_the_registry_gives_out(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str], lab: Lab
    ) -> None:
        builder.build(checkout, "Dockerfile", tag, {}, {}, said.append)
        digest = builder.push(tag, said.append)
        assert SwarmEngine([lab["m1"].docker_host], nobody).resolve(tag).digest == digest
        assert builder.push(tag, said.append) == digest
        assert builder._recorded(tag) == digest
        assert len(said) < 60, "progress floods the log"

    def test_an_image_that_was_not_built_is_given_up(
        self, builder: DockerBuilder, tag: ImageName, said: list[str]
    ) -> None:
        with pytest.raises(GiveUp, match="does not exist locally"):
            builder.push(tag, said.append)

    def test_a_registry_out_of_reach_is_tried_later(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, said: list[str], lab: Lab
    ) -> None:
        builder.build(checkout, "Dockerfile", tag, {}, {}, said.append)
        down = ImageName(f"{lab.host}:{free_port(lab.host)}", "app", "v1")
        with lab["m1"].client() as client:
            client.tag(str(tag), down.repository, down.tag)
            with pytest.raises(RetryLater, match="refused"):
                builder.push(down, said.append)
            client.remove_image(str(down))

    def test_a_private_registry_takes_the_login_for_pushes_and_base_images(
        self, lab: Lab, tag: ImageName, checkout: Path, said: list[str], tmp_path: Path
    ) -> None:
        with private_registry(lab.host, tmp_path) as registry:
            private = ImageName(registry, "app", "v1")
            host = lab["m1"].docker_host
            builder = DockerBuilder(host, lambda name: LOGIN if name == registry else None)
            builder.build(checkout, "Dockerfile", private, {}, {}, said.append)
            with pytest.raises(GiveUp, match=r"no basic auth|unauthorized|authentication") as caught:
                DockerBuilder(host, nobody).push(private, said.append)
            assert "registries:" in caught.value.hint
            assert builder.push(private, said.append).startswith("sha256:")
            with lab["m1"].client() as client:
                client.remove_image(str(private))
            (checkout / "Dockerfile").write_text(f"FROM {private}\nLABEL a=b\n")
            with pytest.raises(GiveUp) as caught:
                DockerBuilder(host, nobody).build(checkout, "Dockerfile", tag, {}, {}, said.append)
            assert "registries:" in caught.value.hint
            assert builder.build(checkout, "Dockerfile", tag, {}, {}, said.append)
            with lab["m1"].client() as client:
                client.remove_image(str(private), force=True)


# Without an engine


def test_a_builder_that_does_not_answer_is_tried_later_and_tells_no_argument(
    checkout: Path, tmp_path: Path, said: list[str]
) -> None:
    builder = DockerBuilder(f"unix://{tmp_path}/none.sock", nobody)
    name = ImageName.parse("registry:5000/app:v1")
    with pytest.raises(RetryLater, match=r"no builder answers.*none.sock") as caught:
        builder.build(checkout, "Dockerfile", name, {"TOKEN": SECRET}, {}, said.append)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    for ask in (builder.ping, lambda: builder.has_image("x"), lambda: builder.push(name, said.append)):
        with pytest.raises(RetryLater):
            ask()
    with pytest.raises(Exception, match=r"(?i)connection|server API version"):
        connect(f"unix://{tmp_path}/none.sock", 1)


@pytest.mark.parametrize(
    ("context", "recipe"),
    [
        ("..", "Dockerfile"),
        ("out", "Dockerfile"),
        ("sub/../..", "Dockerfile"),
        (".", "../Dockerfile"),
        (".", "/etc/passwd"),
        (".", "out/Dockerfile"),
        (".", "linked"),
        ("sub", "../linked"),
    ],
)
def test_what_leads_out_of_the_checkout_is_refused(checkout: Path, context: str, recipe: str) -> None:
    (checkout.parent / "Dockerfile").write_text("FROM scratch\n")
    (checkout / "sub").mkdir()
    (checkout / "out").symlink_to(checkout.parent)
    (checkout / "linked").symlink_to("/etc/passwd")
    with pytest.raises(GiveUp, match="leads out of the checkout"):
        Context.of(checkout / context, recipe)


@pytest.mark.parametrize(("context", "recipe"), [("none", "Dockerfile"), (".", "none"), ("busybox", "Dockerfile")])
def test_what_is_not_in_the_repository_is_named(checkout: Path, context: str, recipe: str) -> None:
    with pytest.raises(GiveUp, match=r"not in the repository|not a folder"):
        Context.of(checkout / context, recipe)


def test_an_ignore_file_that_leads_out_is_refused(checkout: Path) -> None:
    (checkout / ".dockerignore").symlink_to("/etc/passwd")
    with pytest.raises(GiveUp, match="leads out"):
        Context.of(checkout, "Dockerfile").tar()


def test_links_are_sent_as_links_and_never_followed(checkout: Path) -> None:
    (checkout / "passwd").symlink_to("/etc/passwd")
    (checkout / "etc").symlink_to("/etc")
    with Context.of(checkout, "").tar() as stream, tarfile.open(fileobj=stream) as archive:
        names = archive.getnames()
        assert archive.getmember("passwd").issym()
        assert archive.getmember("etc").issym()
    assert not [n for n in names if n.startswith("etc/")]


def test_the_registries_of_the_base_images_are_known_without_variables_and_stages(checkout: Path) -> None:
    (checkout / "Dockerfile").write_text(
        "ARG BASE\nFROM --platform=linux/amd64 ghcr.io/a/b:1 AS x\nFROM x\nfrom $BASE\nFROM localhost:5000/c\n"
    )
    assert Context.of(checkout, "Dockerfile").registries() == {"ghcr.io", "docker.io", "localhost:5000"}


def test_progress_is_collapsed_and_lines_are_whole() -> None:
    reader = BuildLog()
    records = [
        {"stream": "Step 1/2 : RUN x\n"},
        {"stream": "half"},
        {"stream": " and half\n10%\r50%\rdone\n\x1b[32mgreen\x1b[0m\n"},
        *({"status": "Downloading", "id": "aa", "progress": f"[{n}]", "progressDetail": {}} for n in range(50)),
        {"status": "Pull complete", "id": "aa"},
        {"status": "Pull complete", "id": "aa"},
        {"stream": "no end"},
    ]
    lines = [line for record in records for line in reader.lines_of(record)] + reader.rest()
    assert lines == ["Step 1/2 : RUN x", "half and half", "done", "green", "aa: Pull complete", "no end"]


def test_an_error_in_the_stream_is_seen() -> None:
    reader = BuildLog(hidden=("abc", ""))
    reader.lines_of({"stream": "Step 2/2 : RUN y\n"})
    reader.lines_of({"errorDetail": {"message": "it broke abc"}, "error": "it broke abc"})
    assert reader.failure("the build") == "the build failed at Step 2/2 : RUN y: it broke ***\nStep 2/2 : RUN y"
