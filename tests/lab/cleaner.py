"""The image that cleans nodes, for a lab that can pull none: the machine's own docker client and busybox."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import docker

from tests.lab.processes import run

RECIPE = """\
FROM scratch
COPY . /
RUN ["/bin/busybox", "--install", "/bin"]
"""


def build(client: docker.APIClient, image: str) -> None:
    """Build it as *image*. Raises AssertionError with the engine's words."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        for line in client.build(path=folder, tag=image, rm=True, forcerm=True, decode=True):
            assert "error" not in line, line["error"]


def fill(folder: Path) -> None:
    """Everything that goes in, each at the path that it has on this machine."""
    found = shutil.which("docker")
    assert found, "the package docker.io is missing"
    busybox = shutil.which("busybox")
    assert busybox, "the package busybox-static is missing"
    _copy(busybox, folder / "bin" / "busybox")
    _copy(found, folder / "usr/bin" / "docker")
    for library in re.findall(r"(/\S+) \(0x", run("ldd", found, check=False)):
        _copy(library, folder / library.removeprefix("/"))
    (folder / "Dockerfile").write_text(RECIPE)


def _copy(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
