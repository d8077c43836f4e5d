"""Source builds on a real engine: what goes in, what comes back, and that nothing stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodewise.adapters.builds.builder import DockerBuilder
from nodewise.adapters.builds.source_build import cache_name
from nodewise.domain.errors import GiveUp
from nodewise.domain.recipe import SourceOrder
from tests.building import Ended, Listener, order_of, sleeps
from tests.integration.builder_parts import make_checkout, nobody
from tests.integration.swarm_parts import until
from tests.lab.lab import Lab
from tests.lab.registry import Registry

pytestmark = [pytest.mark.lab, pytest.mark.seconds(40)]

USERS = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
RUN mkdir -p /etc /home/ada && echo ada:x:1234:4321::/home/ada:/bin/sh > /etc/passwd && echo makers:x:777: > /etc/group
USER ada:makers
"""
CACHE = "/home/ada/.cache"
KILLED = """
import sys
from pathlib import Path
from nodewise.adapters.builds.builder import DockerBuilder
from tests.building import Listener
from tests.integration.builder_parts import nobody
from nodewise.domain.recipe import SourceOrder
host, image, build, checkout = sys.argv[1:]
DockerBuilder(host, nobody).run(SourceOrder(build, build, Path(checkout), image, "sleep 40300"), Listener())
"""


class Scene:
    """A builder, an image with a user of its own, and a checkout."""

    def __init__(self, lab: Lab, image: str, checkout: Path) -> None:
        self.host = lab["m1"].docker_host
        self.builder = DockerBuilder(self.host, nobody)
        self.image = image
        self.checkout = checkout
        self.name = self.build = f"b{uuid.uuid4().hex[:8]}"
        self.said = Listener()

    def run(self, command: str, **fields: Any) -> None:
        order = SourceOrder(self.build, self.name, self.checkout, self.image, command, **fields)
        self.builder.run(order, self.said)

    def left(self, lab: Lab) -> list[str]:
        """Containers and volumes that carry the build's id."""
        filters = {"label": f"nodewise.build={self.build}"}
        with lab["m1"].client() as client:
            volumes = client.volumes(filters=filters)["Volumes"] or []
            return [c["Id"] for c in client.containers(all=True, filters=filters)] + [v["Name"] for v in volumes]


@pytest.fixture(scope="module")
def image(_lab: Lab, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Only in the registry: the first source build pulls it."""
    context = make_checkout(tmp_path_factory.mktemp("tool") / "checkout")
    (context / "Dockerfile").write_text(USERS)
    name = f"{registry.address}/tool:v1"
    with _lab["m1"].client() as client:
        DockerBuilder(_lab["m1"].docker_host, nobody, client="").build(order_of(context, name), Listener())
        for line in client.push(name, stream=True, decode=True, auth_config={"username": ""}):
            assert "error" not in line, line
        client.remove_image(name, force=True)
    return name


@pytest.fixture
def scene(lab: Lab, image: str, tmp_path: Path) -> Iterator[Scene]:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / ".git" / "config").write_text("ours")
    (checkout / "app.c").write_text("int main;")
    (checkout / "unused").write_text("x")
    (checkout / "link").symlink_to("app.c")
    (checkout / "elsewhere").symlink_to("/etc/hostname")
    scene = Scene(lab, image, checkout)
    yield scene
    assert scene.left(lab) == []
    with lab["m1"].client() as client:
        for volume in client.volumes(filters={"label": f"nodewise.cache={scene.name}"})["Volumes"] or ():
            client.remove_volume(volume["Name"])


def test_a_command_works_on_the_checkout_as_the_images_own_user_and_what_it_made_comes_back(scene: Scene) -> None:
    scene.run(
        "id -un; id -gn; pwd; cat link > made; mkdir out; ln made out/hard; ln -s ../made out/soft; rm unused; "
        'chmod 750 made; echo theirs > .git/config; printf "no end"',
        env={"MODE": "7; $x"},
    )
    assert scene.said.lines[-4:] == ["ada", "makers", "/source", "no end"]
    made = scene.checkout / "made"
    assert made.read_text() == "int main;"
    assert made.stat().st_mode & 0o777 == 0o750
    assert (scene.checkout / "out" / "hard").samefile(made)
    assert (scene.checkout / "out" / "soft").readlink() == Path("../made")
    assert not (scene.checkout / "unused").exists()
    assert (scene.checkout / ".git" / "config").read_text() == "ours"
    assert (scene.checkout / "elsewhere").readlink() == Path("/etc/hostname"), "a link of the repository's own"


def test_only_what_is_named_as_output_is_taken_back(scene: Scene) -> None:
    (scene.checkout / "out").mkdir()
    (scene.checkout / "out" / "old").touch()
    scene.run(
        "rm -r out unused; mkdir -p out/deep/er; echo 1 > out/new; echo 2 > out/deep/er/two; echo 3 > app.c",
        output=("out/new", "out/deep"),
    )
    assert (scene.checkout / "out" / "new").read_text() == "1\n"
    assert (scene.checkout / "out" / "deep" / "er" / "two").read_text() == "2\n"
    assert (scene.checkout / "app.c").read_text() == "int main;"
    assert (scene.checkout / "unused").exists()
    assert (scene.checkout / "out" / "old").exists()


def test_an_image_that_the_engine_does_not_have_is_pulled_and_one_that_is_nowhere_given_up(
    scene: Scene, lab: Lab, registry: Registry
) -> None:
    with lab["m1"].client() as client:
        if client.images(name=scene.image):
            client.remove_image(scene.image, force=True)
    scene.run("true")
    assert "Pulling from tool" in scene.said.text
    scene.image = f"{registry.address}/nothing:v1"
    with pytest.raises(GiveUp, match=r"pulling .*/nothing:v1 failed: .*(not found|unknown)"):
        scene.run("true")


def test_a_failing_command_is_told_with_its_exit_code_and_its_last_lines(scene: Scene) -> None:
    with pytest.raises(GiveUp) as caught:
        scene.run("echo one; printf '\\033[31mtwo\\033[0m\\n' >&2; false; echo never")
    first, *rest = str(caught.value).splitlines()
    assert first == "the source build failed with exit code 1"
    assert sorted(rest) == ["one", "two"]
    assert sorted(scene.said.lines[-2:]) == ["one", "two"]


def test_its_exit_code_counts_even_if_it_has_closed_its_outputs_before(scene: Scene) -> None:
    with pytest.raises(GiveUp, match="exit code 3"):
        scene.run("exec >&- 2>&-; sleep 2; exit 3")


def test_a_cache_is_kept_from_build_to_build_of_one_name(scene: Scene) -> None:
    scene.run(f"test ! -e {CACHE}/seen; touch {CACHE}/seen", cache=(CACHE,))
    scene.build += "b"
    scene.run(f"test -e {CACHE}/seen", cache=(CACHE,))
    assert cache_name(scene.name, CACHE).startswith(f"nodewise-cache-{scene.name}-")
    assert cache_name(scene.name, CACHE) != cache_name(scene.name, "/root")
    scene.build += "c"
    scene.run("test ! -e /home/ada/.cache/seen")


def test_secrets_are_files_that_only_its_user_reads_and_no_log_tells(scene: Scene, lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("the-secret-itself\n")
    shown: list[str] = []

    def look() -> bool:
        with lab["m1"].client() as client:
            for found in client.containers(all=True, filters={"label": f"nodewise.build={scene.build}"}):
                shown.append(repr(client.inspect_container(found["Id"])))
        return False

    scene.said.end = look
    with pytest.raises(GiveUp) as caught:
        scene.run("cd /run/secrets; cat token; stat -c '%a %U' token; sleep 1; exit 1", secrets={"token": secret})
    assert scene.said.lines[-2:] == ["***", "400 ada"]
    assert shown
    assert "the-secret-itself" not in str(caught.value) + "".join(shown)


def test_it_has_no_more_rights_than_any_container(scene: Scene) -> None:
    scene.run("grep NoNewPrivs /proc/self/status; test ! -e /var/run/docker.sock")
    assert scene.said.lines[-1].split() == ["NoNewPrivs:", "1"]


def test_it_ends_at_once_with_what_it_was_told_and_nothing_of_it_runs_on(scene: Scene) -> None:
    scene.said.end = lambda: sleeps(40200)
    with pytest.raises(Ended):
        scene.run("sleep 40200")
    assert not sleeps(40200)


def test_what_a_killed_worker_left_is_cleared_by_the_builds_id(scene: Scene, lab: Lab) -> None:
    scene.run("true")  # the image is there
    arguments = (scene.host, scene.image, scene.build, str(scene.checkout))
    worker = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    try:
        until(lambda: sleeps(40300), 60)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert len(scene.left(lab)) == 2
    scene.builder.clear("another")
    assert len(scene.left(lab)) == 2
    scene.builder.clear(scene.build)
    assert scene.left(lab) == []
    assert not sleeps(40300)


@pytest.mark.parametrize(
    ("command", "output", "named"),
    [
        ("ln -s /etc/passwd evil", ".", "evil -> /etc/passwd"),
        ("mkdir out; ln -s ../../x out/evil", "out", "out/evil -> ../../x"),
        ("ln -s . here; ln -s here/../x evil", ".", "evil -> here/../x"),
        ("mkdir out; mkfifo out/pipe", "out", "a device or a pipe: out/pipe"),
        ("mkdir out; truncate -s 900G out/huge", "out", "more than 1.0 MB, at out/huge"),
        ("mkdir out; for i in $(seq 2200); do : > out/$i; done", "out", "more than 1.0 MB"),
        ("true", "out", "made no out"),
        ("true", "../out", "'../out' of a source build is not a path within"),
        ("true", "/etc", "'/etc' of a source build is not a path within"),
        ("mkdir -p out/x", "elsewhere/x", "made no elsewhere/x"),
    ],
)
def test_what_would_lead_out_of_the_checkout_is_refused_by_name(
    scene: Scene, command: str, output: str, named: str
) -> None:
    with pytest.raises(GiveUp) as caught:
        scene.run(command, output=(output,), most=1_000_000)
    assert named in str(caught.value)
    assert {path.name for path in scene.checkout.parent.iterdir()} == {"checkout"}
