"""Which docker client can speak to BuildKit, and what it is given. The clients here are small scripts."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from nodewise.adapters.builds import buildkit
from nodewise.adapters.builds.attending import Over, Reporter, run_child
from nodewise.adapters.builds.buildkit_client import find_client, offers_buildkit
from nodewise.adapters.builds.context import Context
from nodewise.adapters.builds.engine import BuildEngine
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.recipe import ImageOrder
from tests.building import Listener, order_of, sleeps
from tests.lab.processes import wait_until

DUMP = """
for last; do case $previous in --iidfile) echo sha256:abc > "$last" ;; esac; previous=$last; done
{ printf '%s\\n' "$@"; echo --; env; echo --; stat -c '%a %n' "$DOCKER_CONFIG" "$DOCKER_CONFIG"/*; echo --
cat "$DOCKER_CONFIG/config.json"; } > SEEN
echo '#1 [1/1] RUN x'
"""


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    find_client.cache_clear()


def client(folder: Path, version: str, plugin: bool = False, then: str = "exit 1", name: str = "docker") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / name
    buildx = "echo v0.12" if plugin else "exit 1"
    script.write_text(f"#!/bin/sh\ncase $1 in --version) echo '{version}' ;; buildx) {buildx} ;; *) {then} ;; esac\n")
    script.chmod(0o755)
    return script


OLD, NEW = "Docker version 20.10.24+dfsg1, build 297e128", "Docker version 28.2.2, build e6534b4"
PODMAN = "podman version 4.3.1"


def test_the_first_client_that_can_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "bare": client(tmp_path / "bare", NEW),
        "podman": client(tmp_path / "podman", PODMAN),
        "ancient": client(tmp_path / "ancient", "Docker version 17.03.1-ce, build c6d412e"),
        "old": client(tmp_path / "old", OLD),
        "plugin": client(tmp_path / "plugin", NEW, plugin=True),
    }
    monkeypatch.setenv("PATH", os.pathsep.join([*(str(p.parent) for p in made.values()), os.environ["PATH"]]))
    assert find_client("docker") == made["old"]
    made["old"].unlink()
    assert find_client("docker") == made["old"], "looked for once per process"
    find_client.cache_clear()
    assert find_client("docker") == made["plugin"]


def test_a_client_may_be_named_by_its_path_and_none_means_none(tmp_path: Path) -> None:
    assert find_client(str(client(tmp_path, OLD))) == tmp_path / "docker"
    assert find_client(str(client(tmp_path, NEW, name="newer"))) is None
    assert find_client("no-such-client") is None
    assert find_client("") is None


@pytest.mark.parametrize(
    ("headers", "offered"),
    [
        ({"Api-Version": "1.41", "Ostype": "linux"}, True),
        ({"Api-Version": "1.38", "Ostype": "linux"}, False),
        ({"Api-Version": "1.50", "Builder-Version": "2"}, True),
        ({"Api-Version": "1.50", "Builder-Version": "1"}, False),
        ({"Api-Version": "1.50", "Builder-Version": "2", "Ostype": "windows"}, False),
        ({"Api-Version": "1.41", "Libpod-Api-Version": "4.3.1"}, False),
        ({}, False),
    ],
)
def test_an_engine_says_whether_it_has_buildkit(headers: dict[str, str], offered: bool) -> None:
    class Answer:
        def __init__(self) -> None:
            self.headers = headers

    class Engine:
        def _url(self, path: str, versioned_api: bool) -> str:
            return path

        def _get(self, url: str) -> Answer:
            return Answer()

        def _raise_for_status(self, answer: Answer) -> None:
            return

    assert offers_buildkit(Engine()) is offered


class TestABuild:
    @pytest.fixture
    def context(self, tmp_path: Path) -> Context:
        (tmp_path / "checkout").mkdir()
        (tmp_path / "checkout" / "Dockerfile").write_text("FROM private:5000/base\n")
        return Context.of(tmp_path / "checkout", "Dockerfile")

    def build(self, context: Context, program: Path, said: Listener, **fields: object) -> str:
        def auth(registry: str) -> dict[str, str] | None:
            return {"username": "bot", "password": "pw:d"} if registry == "private:5000" else None

        engine = BuildEngine("tcp://10.0.0.7:2376", auth, context.folder / "tls")
        order: ImageOrder = order_of(context.folder, **fields)
        return buildkit.build(engine, program, order, context, Reporter(said))

    def test_the_client_is_given_everything_and_nothing_of_it_in_its_arguments(
        self, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BUILDX_BUILDER", "mine")
        monkeypatch.setenv("DOCKER_CONTEXT", "mine")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
        program = client(tmp_path, OLD, then=DUMP.replace("SEEN", str(tmp_path / "seen")))
        said = Listener()
        fields = {
            "args": {"TOKEN": "the value"},
            "secrets": {"KEY": Path('/a "b", c')},
            "labels": {"a": "b c"},
            "target": "t",
            "platform": "linux/arm64",
            "cache": "private:5000/cache",
        }
        assert self.build(context, program, said, **fields) == "sha256:abc"
        arguments, variables, files, config = (tmp_path / "seen").read_text().split("--\n")
        folder = next(line.split()[1] for line in files.splitlines() if line.startswith("700 "))
        assert arguments.splitlines() == [
            *("build", "--progress", "plain", "--iidfile", f"{folder}/image-id"),
            *("--file", f"{context.folder}/Dockerfile", "--tag", "registry:5000/app:v1"),
            *("--build-arg", "TOKEN", "--build-arg", "BUILDKIT_INLINE_CACHE", "--label", "a=b c"),
            *("--secret", 'id=KEY,"src=/a ""b"", c"', "--target", "t", "--platform", "linux/arm64"),
            *("--cache-from", "private:5000/cache", str(context.folder)),
        ]
        given = dict(line.split("=", 1) for line in variables.splitlines())
        assert (given["TOKEN"], given["BUILDKIT_INLINE_CACHE"], given["DOCKER_BUILDKIT"]) == ("the value", "1", "1")
        assert (given["DOCKER_HOST"], given["DOCKER_TLS_VERIFY"]) == ("tcp://10.0.0.7:2376", "1")
        assert given["DOCKER_CERT_PATH"] == str(context.folder / "tls")
        assert (given["DOCKER_CONFIG"], given["HTTPS_PROXY"]) == (folder, "http://proxy:3128")
        assert "10.0.0.7" in given["NO_PROXY"].split(",")
        assert not {"BUILDX_BUILDER", "DOCKER_CONTEXT"} & set(given)
        assert f"600 {folder}/config.json" in files
        login = {"auth": base64.b64encode(b"bot:pw:d").decode()}
        assert json.loads(config)["auths"] == {"private:5000": login}
        assert not Path(folder).exists()

    @pytest.mark.parametrize(
        ("printed", "error"),
        [
            ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", RetryLater),
            (
                "failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
                RetryLater,
            ),
            ("unknown flag: --secret", GiveUp),
        ],
    )
    def test_an_engine_that_is_gone_is_tried_later(
        self, context: Context, tmp_path: Path, printed: str, error: type[Exception]
    ) -> None:
        program = client(tmp_path, OLD, then=f"echo '{printed}' >&2; exit 1")
        with pytest.raises(error) as caught:
            self.build(context, program, Listener())
        assert printed in str(caught.value)

    def test_a_client_that_is_killed_is_tried_later(self, context: Context, tmp_path: Path) -> None:
        with pytest.raises(RetryLater, match="exit code -9"):
            self.build(context, client(tmp_path, OLD, then="kill -9 $$"), Listener())

    @pytest.mark.parametrize("name", ["DOCKER_HOST", "PATH", "LD_PRELOAD", "BUILDX_BUILDER", "A=B"])
    def test_an_argument_that_the_client_would_read_itself_is_refused(
        self, context: Context, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(GiveUp, match=name):
            self.build(context, client(tmp_path, OLD, then="exit 0"), Listener(), args={name: "x"})


def test_a_child_is_killed_with_its_own_children(tmp_path: Path) -> None:
    reporter = Reporter(Listener(end=lambda: sleeps(40401) and sleeps(40402)))
    with pytest.raises(Over):
        run_child(["/bin/sh", "-c", "sleep 40401 & sleep 40402 & wait"], os.environ, print, reporter)
    wait_until("its children to be gone", lambda: not sleeps(40401) and not sleeps(40402))


def test_what_a_child_leaves_behind_with_its_outputs_is_not_waited_for() -> None:
    said = Listener()
    code = run_child(["/bin/sh", "-c", "sleep 3 & echo done; exit 4"], os.environ, said.line, Reporter(said))
    assert (code, said.lines) == (4, ["done"])
