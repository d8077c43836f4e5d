"""Idle memory of ``nodewise up``: web, worker, clock, Redis and their supervisor, proportional set size."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.report import Bar, close
from tests.product import Product

BAR_MIB = 200.0
SETTLE = 15.0  # seconds of idling before it is measured: what an idle system holds, not a starting one


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        with Product(Path(folder), ["unix:///var/run/no-such-engine.sock"], {}) as product:
            time.sleep(SETTLE)
            assert product.process is not None
            sizes = {name_of(pid): pss_mib(pid) for pid in family(product.process.pid)}
    for name, size in sizes.items():
        print(f"{name:<32}{size:8.1f} MiB")
    return close([Bar("footprint", sum(sizes.values()), "MiB", BAR_MIB)])


def family(pid: int) -> list[int]:
    """*pid* and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def pss_mib(pid: int) -> float:
    """Proportional set size: shared pages count for each sharer by its part (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def name_of(pid: int) -> str:
    return f"{pid} " + Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:24]
