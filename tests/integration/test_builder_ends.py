"""DockerBuilder on a real engine: secrets, limits, and how work ends that is to end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.domain.errors import GiveUp
from nodewise.domain.images import ImageName
from tests.building import Ended, Listener, commands, order_of, sleeps
from tests.integration.builder_parts import SECRET, OnTheLab, nobody
from tests.integration.swarm_parts import until
from tests.lab.lab import Lab

pytestmark = pytest.mark.seconds(30)

TOKEN = 'pass word, $HOME "quoted"\nthe second line of it\n'  # as a file may hold it


class TestSecrets(OnTheLab):
    @pytest.fixture
    def token(self, tmp_path: Path) -> Path:
        file = tmp_path / "a token, in a file"
        file.write_text(TOKEN)
        return file

    def test_buildkit_mounts_them_and_leaves_them_nowhere(
        self, tag: ImageName, checkout: Path, token: Path, lab: Lab
    ) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write(f"RUN --mount=type=secret,id=TOKEN : {uuid4()}; cat /run/secrets/TOKEN\n")
            recipe.write("RUN test ! -s /run/secrets/TOKEN\n")
        said = Listener()
        builder = DockerBuilder(lab["m1"].docker_host, nobody)
        image = builder.build(order_of(checkout, tag, secrets={"TOKEN": token}), said)
        assert "/run/secrets/TOKEN" in said.text
        assert "***" in said.text
        with lab["m1"].client() as client:
            kept = b"".join(client.get_image(str(tag))) + repr(client.history(image)).encode()
        for line in TOKEN.splitlines():
            assert line not in said.text
            assert line.encode() not in kept

    def test_a_failing_step_does_not_tell_them(self, tag: ImageName, checkout: Path, token: Path, lab: Lab) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write("RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN && exit 3\n")
        with pytest.raises(GiveUp, match="code: 3") as caught:
            DockerBuilder(lab["m1"].docker_host, nobody).build(
                order_of(checkout, tag, secrets={"TOKEN": token}), Listener()
            )
        assert "second line" not in str(caught.value)

    def test_the_classic_builder_has_none_and_says_how_to_get_one_that_has(
        self, tag: ImageName, checkout: Path, token: Path, lab: Lab
    ) -> None:
        with pytest.raises(GiveUp, match=r"TOKEN.*BuildKit.*buildx"):
            DockerBuilder(lab["m1"].docker_host, nobody, client="").build(
                order_of(checkout, tag, secrets={"TOKEN": token}), Listener()
            )

    def test_a_secret_that_is_not_there_is_named(self, builder: DockerBuilder, checkout: Path, tmp_path: Path) -> None:
        with pytest.raises(GiveUp, match=r"TOKEN cannot be read from .*/none: No such file"):
            builder.build(order_of(checkout, secrets={"TOKEN": tmp_path / "none"}), Listener())


class TestArguments(OnTheLab):
    def test_their_values_are_in_no_process_list(self, builder: DockerBuilder, tag: ImageName, checkout: Path) -> None:
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write(f"ARG TOKEN\nRUN : {uuid4()}; sleep 2; true\n")
        seen: list[str] = []
        said = Listener(end=lambda: bool(seen.extend(commands())))
        builder.build(order_of(checkout, tag, args={"TOKEN": SECRET}), said)
        assert "sleep 2" in seen
        assert not [command for command in seen if SECRET in command]


class TestEnding(OnTheLab):
    def test_a_build_ends_at_once_with_what_it_was_told_and_nothing_of_it_runs_on(
        self, builder: DockerBuilder, kind: str, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        seconds = 40100 + (kind == "buildkit")
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write(f"RUN sleep {seconds}\n")
        error = TimeoutError("as an engine's silence would be")
        with pytest.raises(TimeoutError) as caught:
            builder.build(order_of(checkout, tag), Listener(end=lambda: sleeps(seconds), error=error))
        assert caught.value is error
        until(lambda: not sleeps(seconds), 20)
        until(lambda: not [command for command in commands() if f"--tag {tag}" in command], 5)
        assert not list(Path(tempfile.gettempdir()).glob("nodewise-client-build1-*"))
        with lab["m1"].client() as client:
            until(lambda: not [c for c in client.containers(all=True) if f"sleep {seconds}" in c["Command"]], 20)

    def test_it_ends_so_even_where_its_own_failures_would_do_no_harm(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path, lab: Lab
    ) -> None:
        cache = str(tag.with_tag("cache"))
        error = GiveUp("a newer commit has come")
        said = Listener(error=error)
        said.end = lambda: f"[{tag.repository}]" in said.text
        with pytest.raises(GiveUp) as caught:
            builder.build(order_of(checkout, tag, cache=cache, args={"VERSION": str(tag)}), said)
        assert caught.value is error

    def test_a_log_that_is_too_long_ends_it_too(
        self, builder: DockerBuilder, kind: str, tag: ImageName, checkout: Path
    ) -> None:
        flood = f"flood-{kind}"
        with (checkout / "Dockerfile").open("a") as recipe:
            recipe.write(f"RUN while true; do echo {flood}; sleep 0.01; done\n")
        with pytest.raises(Ended):
            builder.build(order_of(checkout, tag), Listener(most=60))
        until(lambda: not [command for command in commands() if f"echo {flood}" in command], 20)

    def test_a_context_that_is_too_large_is_not_sent(
        self, builder: DockerBuilder, tag: ImageName, checkout: Path
    ) -> None:
        (checkout / "heap").write_bytes(b"x" * 3_000_000)
        said = Listener()
        size = (checkout / "busybox").stat().st_size + 10_000
        with pytest.raises(GiveUp, match=r"\d MB, and a build may have \d\.\d MB .*\.dockerignore"):
            builder.build(order_of(checkout, tag, most=size), said)
        assert said.lines == []
        (checkout / ".dockerignore").write_text("heap\n")
        assert builder.build(order_of(checkout, tag, most=size), said)
