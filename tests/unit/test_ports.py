"""Ports for tests: each given out once, and none that is taken."""

from __future__ import annotations

import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ports import COUNT, FIRST, free_port, next_in


def test_no_two_who_ask_at_once_get_the_same_number(tmp_path: Path):
    counter = tmp_path / "counter"
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: next_in(counter, 100, 1000), range(200)))
    assert sorted(numbers) == list(range(100, 300))


def test_after_the_last_number_comes_the_first(tmp_path: Path):
    assert [next_in(tmp_path / "counter", 7, 3) for _ in range(5)] == [7, 8, 9, 7, 8]


def test_a_taken_port_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = free_port()
    with socket.socket() as taken:
        with suppress(OSError):  # taken already
            taken.bind(("127.0.0.1", before + 1))
        assert free_port() > before + 1


def test_ports_lie_below_those_that_the_kernel_gives_out_by_itself():
    first_of_the_kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert first_of_the_kernels >= FIRST + COUNT
