"""Whoever ends, or is told to, takes along what it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.processes import descendants, kill_all, start_time
from tests.product import ROOT, Product, wait_for

pytestmark = pytest.mark.seconds(40)

IN_THE_BACKGROUND = ["sh", "-c", """trap "" INT; exec "$@" """, "sh"]  # as a script's jobs are: SIGINT is ignored
TOLD = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)]
)


@contextmanager
def background(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A module of the tests with *arguments*; nothing of it is left afterwards."""
    command = [*IN_THE_BACKGROUND, sys.executable, "-m", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            yield process
        finally:
            kill_all([process.pid])


def ended(process: subprocess.Popen, number: int) -> int:
    """Send the signal; the exit code, once the process and all that it had started are gone."""
    started = {pid: start_time(pid) for pid in descendants(process.pid)}
    process.send_signal(number)
    code = process.wait(60)

    def left() -> list[int]:
        return [pid for pid, since in started.items() if start_time(pid) == since]

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


@TOLD
@pytest.mark.parametrize("processes", [2, 6], ids=["first processes", "all processes"])
def test_a_benchmark_takes_its_product_along_even_before_it_is_ready(number: int, code: int, processes: int):
    with background("tests.bench", "footprint") as process:
        wait_for("what it starts", lambda: len(descendants(process.pid)) >= processes, every=0.01)
        assert ended(process, number) == code


@TOLD
def test_a_demonstration_ends_in_order(number: int, code: int):
    with background("tests.demo", "--simulated") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert ended(process, number) == code
