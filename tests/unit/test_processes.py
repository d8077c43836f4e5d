"""The lab's record of its processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.lab.processes import Recorded
from tests.product import wait_for


def test_a_killed_process_does_not_run_though_its_parent_has_not_noted_its_end(tmp_path: Path):
    recorded = Recorded(tmp_path / "engine")
    recorded.start(["sleep", "600"], tmp_path / "log")
    pid = recorded.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: recorded.pid == 0)
    assert Path(f"/proc/{pid}").exists(), "it is still there, ended and not waited for"
    os.waitpid(pid, 0)
