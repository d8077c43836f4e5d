"""``./dev demo --simulated``: on a machine with Python alone it tells its story to the end, and says what it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with an empty search path: no other program can be found."""
    env = {**os.environ, "PATH": str(folder)}
    command = [sys.executable, "-m", "tests.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)


def test_the_simulated_demonstration_shows_the_whole_story_with_no_other_program_at_hand(tmp_path):
    done = demo(tmp_path, "--simulated")
    assert done.returncode == 0, done.stdout + done.stderr
    told, _, summary = done.stdout.partition("What was shown")
    for shown in (
        "runs on 5 of 5 nodes",
        "rolled back by itself",
        "left alone",
        "approved twice, moved",
        "running tasks untouched",
        "one service after the",
    ):
        assert shown in summary
    assert "gate http failed" in told
    first, title, last = told.splitlines()[0], summary.splitlines()[0], summary.splitlines()[-1]
    assert "This is a simulation" in first
    assert "simulated swarm" in title
    assert "simulated swarm in virtual time" in last


def test_a_simulated_demonstration_has_nothing_to_keep_running(tmp_path):
    done = demo(tmp_path, "--simulated", "--keep")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
