"""Whoever ends, or is told to, takes along what it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.processes import descendants, kill_all, start_time
from tests.product import ROOT, Product, wait_for

pytestmark = pytest.mark.seconds(20)


def ended(process: subprocess.Popen, number: int) -> int:
    """Send the signal; the exit code, once the process and all that it had started are gone."""
    started = {pid: start_time(pid) for pid in descendants(process.pid)}
    process.send_signal(number)
    code = process.wait(60)
    left = lambda: [pid for pid, since in started.items() if start_time(pid) == since]  # noqa: E731
    try:
        wait_for("its children to be gone", lambda: not left(), 10)
    finally:
        kill_all(left())
    return code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_up_that_ends_while_it_migrates_leaves_nobody_behind(tmp_path: Path, number: int):
    product = Product(tmp_path, [f"unix://{tmp_path}/no-engine.sock"], {})
    with subprocess.Popen([sys.executable, "-m", "workers.main", "up"], cwd=ROOT, env=product.env) as process:
        wait_for("its first process", lambda: descendants(process.pid), every=0.01)
        ended(process, number)
