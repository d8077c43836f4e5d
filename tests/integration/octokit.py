"""GitHub's own examples of its webhooks, signed by its own library, which runs under Node.js.

Two npm packages, pinned in tests/data/octokit and installed into the cache folder once for each pin.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import lab_dir

PINNED = Path(__file__).parents[1] / "data" / "octokit"
INSTALL = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


@dataclass(frozen=True)
class Example:
    """A request as GitHub would send it."""

    event: str
    type: str
    body: str
    signature: str


def why_not() -> str:
    """Why there can be no examples here, or nothing."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    return f"{', '.join(missing)} is missing: run ./dev setup as root" if missing else ""


def examples(secret: str) -> list[Example]:
    """All of them, each as JSON and as a form; signed in one process."""
    lines = run(("node", "sign.mjs", secret), _installed()).splitlines()
    return [Example(**json.loads(line)) for line in lines]


def _installed() -> Path:
    """The folder with script and packages, which is whole as soon as it is there."""
    files = sorted(PINNED.iterdir())
    pin = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    made = lab_dir() / f"octokit-{pin}"
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="octokit-part-", dir=made.parent))
    for file in files:
        shutil.copy2(file, part)
    run(INSTALL, part)
    try:
        part.rename(made)
    except OSError:  # somebody else was quicker
        shutil.rmtree(part)
    return made


def run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
    return done.stdout
