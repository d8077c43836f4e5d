"""A base image with Python for the lab, which can pull none: a small Debian, made once and kept in the cache.

It stands for the images that docker-compose.yml names: python, redis and registry are all in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.node import Node
from tests.lab.turns import one_at_a_time

PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,git,redis-server,docker-registry"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
NAME = "nodewise-lab-base:1"


def ensure(node: Node, cache: Path) -> str:
    """The image's name, present on *node*."""
    with node.client() as client:
        if client.images(NAME):
            return NAME
        with archive(cache).open("rb") as file:
            client.import_image_from_data(file.read(), repository=NAME.partition(":")[0], tag=NAME.partition(":")[2])
    return NAME


def archive(cache: Path) -> Path:
    """The image as a tar file: made if there is none, which takes a minute."""
    with one_at_a_time("base-image"):
        return _archive(cache / "base.tar")


def _archive(made: Path) -> Path:
    if made.exists():
        return made
    cache = made.parent
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / "base"
    shutil.rmtree(root, ignore_errors=True)
    _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), *_mirror())
    # The machine's own certificates: whatever stands between it and the package index, it trusts.
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
    part = made.with_suffix(".part")
    _run("tar", "-C", str(root), "-cf", str(part), "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", ".")
    part.rename(made)
    shutil.rmtree(root)
    return made


def _mirror() -> list[str]:
    """The mirror that this machine itself uses, if it says so in the environment."""
    named = os.environ.get("NODEWISE_LAB_MIRROR")
    return [named] if named else []


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-1500:]}{done.stderr[-1500:]}")
