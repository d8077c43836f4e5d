"""``./dev``: which of Debian's packages its verbs want."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cmp", "dirname", "id")  # what the script itself needs


def wanted(folder: Path, verb: str) -> set[str]:
    """What ``./dev`` *verb* finds missing on a machine that has nothing, and nothing to install it with."""
    for name in TOOLS:
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(str(shutil.which("true")))
    for name in ("requirements-dev.lock", ".venv/.locked"):
        (folder / name).touch()
    shutil.copy(ROOT / "dev", folder)
    done = subprocess.run(["./dev", verb], cwd=folder, env={"PATH": str(folder)}, capture_output=True, text=True)
    told, _, _ = done.stderr.partition(";")
    assert told.startswith("missing packages: "), done.stderr
    return set(told.removeprefix("missing packages: ").split())


@pytest.mark.parametrize("verb", ["demo", "lab", "setup", "test"])
def test_what_only_a_benchmark_compares_with_is_wanted_by_no_other_verb(tmp_path: Path, verb: str):
    (tmp_path / "bench").mkdir()
    (tmp_path / "other").mkdir()
    assert wanted(tmp_path / "bench", "bench") - wanted(tmp_path / "other", verb) == {"webhook", "wrk"}
