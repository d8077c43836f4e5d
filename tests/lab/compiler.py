"""The builder image of examples/compiled, made of this machine's own compiler: the lab can pull nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker

RECIPE = """\
FROM scratch
COPY . /
RUN ["/bin/busybox", "--install", "/bin"]
"""


def build(client: docker.APIClient, image: str) -> None:
    """Build it as *image* on this engine. Raises AssertionError with the engine's words."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder)
        for line in client.build(path=name, tag=image, rm=True, forcerm=True, decode=True):
            assert "error" not in line, line["error"]


def _fill(folder: Path) -> None:
    """A root with the compiler, what it links against, its C library, and a shell."""
    target = f"{os.uname().machine}-linux"
    tcc = shutil.which("tcc")
    busybox = shutil.which("busybox")
    assert tcc, "the package tcc is missing"
    assert busybox, "the package busybox-static is missing"
    linked = subprocess.run(["ldd", tcc], capture_output=True, text=True, check=True).stdout
    libraries = [word for line in linked.splitlines() for word in line.split() if word.startswith("/")]
    for file in (tcc, *libraries):
        _copy(Path(file), folder)
    for tree in (f"/usr/lib/{target}-gnu/tcc", f"/usr/lib/{target}-musl", f"/usr/include/{target}-musl"):
        shutil.copytree(tree, folder / tree.lstrip("/"))
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy2(busybox, folder / "bin/busybox")
    (folder / "Dockerfile").write_text(RECIPE)
    (folder / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")


def _copy(file: Path, root: Path) -> None:
    there = root / str(file).lstrip("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, there)
