"""Builds the sample app of examples/app: its files, and the machine's own static busybox."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import docker

SOURCE = Path(__file__).parents[2] / "examples" / "app"


def fill(folder: Path, version: str, broken: bool = False) -> None:
    """A checkout of the app at *version*, ready for ``docker build``. ``broken``: its health answers 500."""
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    busybox = shutil.which("busybox")
    assert busybox, "the package busybox-static is missing"
    shutil.copy2(busybox, folder / "busybox")
    (folder / "www" / "version").write_text(f"{version}\n")
    (folder / "health-status").write_text("500\n" if broken else "200\n")


def build(client: docker.APIClient, image: str, version: str, broken: bool = False) -> None:
    """Build it as *image*. Raises AssertionError with the engine's words."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), version, broken)
        for line in client.build(path=folder, tag=image, rm=True, forcerm=True, decode=True):
            assert "error" not in line, line["error"]
