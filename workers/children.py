"""Child processes that live and die with their parent: forked, named, restarted, stopped.

Forked and not executed anew: what the parent has imported is shared by all of them, so that four
processes cost little more memory than one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from setproctitle import setproctitle

PR_SET_PDEATHSIG = 1  # linux/prctl.h
SETTLED = 5.0  # seconds after which a child counts as well started
LONGEST_WAIT = 10.0

log = structlog.get_logger(__name__)


@dataclass
class Child:
    """One process to keep alive."""

    name: str
    run: Callable[[], None]
    pid: int = 0
    started: float = 0.0
    start_at: float = 0.0
    failures: int = field(default=0)

    def start(self, run_dir: Path) -> None:
        """Fork. Nothing of the parent's signal handling goes along."""
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(parent)
        self.started = time.monotonic()
        self.start_at = 0.0
        write_pid(run_dir / f"{self.name}.pid", self.pid)

    def _become(self, parent: int) -> None:
        code = 1
        try:
            die_with(parent, signal.SIGTERM)
            os.setpgid(0, 0)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            setproctitle(f"nodewise {self.name}")
            self.run()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1 if stop.code else 0
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def ended(self, status: int) -> None:
        """Note the end, and when to start anew: at once, and later and later if it does not stay up.

        What it had forked goes with it: the web's worker would go on taking requests.
        """
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        lived = time.monotonic() - self.started
        self.failures = 0 if lived > SETTLED else self.failures + 1
        wait = 0.0 if lived > SETTLED else min(LONGEST_WAIT, 0.2 * 2**self.failures)
        log.warning("process_ended", name=self.name, pid=self.pid, status=status, again_in=round(wait, 1))
        self.pid = 0
        self.start_at = time.monotonic() + wait

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                self.pid = 0


def die_with(parent: int, number: signal.Signals) -> None:
    """In a child of *parent*: be sent *number* when it dies, however it does. Exits when it is dead already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def write_pid(file: Path, pid: int) -> None:
    """Whoever reads *file* meanwhile finds the old number or the new one, whole."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(f"{pid}\n")
    new.rename(file)


def reap(children: list[Child]) -> list[tuple[Child, int]]:
    """Every child that has ended since the last call, with its wait status."""
    ended: list[tuple[Child, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended += [(c, status) for c in children if c.pid == pid]


def stop(children: list[Child], patience: float) -> None:
    """Ask each to stop, wait for *patience* seconds, then kill what is left."""
    for child in children:
        child.signal(signal.SIGTERM)
    end = time.monotonic() + patience
    while any(c.pid for c in children) and time.monotonic() < end:
        for child, _ in reap(children):
            child.pid = 0
        time.sleep(0.05)
    for child in children:
        child.signal(signal.SIGKILL)
    for child in children:
        if child.pid:
            try:
                os.waitpid(child.pid, 0)
            except ChildProcessError:
                pass
            child.pid = 0
