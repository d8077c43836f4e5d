"""A real Nodewise for tests, demo and benchmarks: ``nodewise up`` as a process of its own, on its own data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import requests
import yaml

from tests.ports import free_port

ROOT = Path(__file__).parents[1]
LEAST_OFTEN = 0.25  # seconds
T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 120.0, every: float = 0.05) -> T:
    """Look until there is something to see; fail with *what* was waited for, and what was seen last.

    *seconds* is what a busy machine may take: nothing is shown by it. *every*: seconds between the first two looks; a
    long wait is looked at less and less often, since whoever looks keeps those busy who are waited for.
    """
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        last = look()
        if last:
            return last
        time.sleep(every)
        every = min(every * 1.1, max(every, LEAST_OFTEN))
    raise AssertionError(f"waited {seconds:g} s for {what}; last seen: {last!r}")


class Product:
    """One ``nodewise up``. ``config`` is written as its nodewise.yaml, ``env`` goes on top of the settings."""

    def __init__(
        self,
        data_dir: Path,
        docker_hosts: Sequence[str],
        config: dict[str, Any],
        host: str = "127.0.0.1",
        port: int = 0,
        **env: str,
    ) -> None:
        self.data_dir = data_dir
        self.host = host
        self.port = port or free_port(host)
        self.url = f"http://{host}:{self.port}"
        data_dir.mkdir(parents=True, exist_ok=True)
        self.config_file = data_dir / "nodewise.yaml"
        self.config_file.write_text(yaml.safe_dump(config))
        self.log_file = data_dir / "up.log"
        self.env = {
            **os.environ,
            "NODEWISE_DATA_DIR": str(data_dir),
            "NODEWISE_CONFIG": str(self.config_file),
            "NODEWISE_DOCKER_HOSTS": ",".join(docker_hosts),
            "NODEWISE_LISTEN": f"{host}:{self.port}",
            "NODEWISE_URL": self.url,
            "NODEWISE_CATCH_UP": "0",  # pushes are told by the test
            **env,
        }
        self.env.pop("NODEWISE_TOKEN", None)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Product:
        """Start, and wait until it is ready to take deliveries and its worker consumes."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers.main", "up"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        try:
            wait_for("nodewise up", self._is_ready)
        except BaseException:  # nobody else knows of it yet
            self.stop()
            raise
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"nodewise up ended: {self.log_file.read_text()[-3000:]}")
        if self.pid("up") != self.process.pid:
            return False
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).json().get("checks", {}).get("worker", {}).get("ok")
        except (requests.RequestException, ValueError):
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> Product:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pid(self, name: str) -> int:
        """The process id of up, web, worker, clock or redis; 0 while there is none."""
        file = self.data_dir / "run" / f"{name}.pid"
        return int(file.read_text()) if file.exists() else 0

    def kill(self, name: str) -> int:
        """kill -9 one process; the supervisor starts it anew. Returns the old pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_restarted(self, name: str, old_pid: int) -> None:
        wait_for(f"{name} to be started again", lambda: self.pid(name) != old_pid)
        wait_for("an answer", self._answers)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    @property
    def token(self) -> str:
        return (self.data_dir / "admin.token").read_text().strip()

    def get(self, path: str, **params: Any) -> Any:
        """GET under /api/v1."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=params, headers=self.auth, timeout=60)
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.text

    def post(self, path: str, **body: Any) -> Any:
        """POST under /api/v1."""
        answer = requests.post(f"{self.url}/api/v1/{path}", json=body, headers=self.auth, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user would."""
        done = subprocess.run(
            [sys.executable, "-m", "workers.main", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def wait_rollout(self, rollout_id: str, seconds: float = 240.0) -> dict[str, Any]:
        """The rollout once it has ended."""

        def ended() -> dict[str, Any] | None:
            found = self.get(f"rollouts/{rollout_id}")
            return found if found["ended_at"] else None

        return wait_for(f"rollout {rollout_id} to end", ended, seconds, 0.2)

    def wait_service(
        self, service: str, look: Callable[[dict[str, Any]], bool], seconds: float = 240.0
    ) -> dict[str, Any]:
        """The newest rollout of *service* that satisfies *look*."""

        def find() -> dict[str, Any] | None:
            items = self.get("rollouts", service=service)["rollouts"]
            return next((r for r in items if look(r)), None)

        return wait_for(f"a rollout of {service}", find, seconds, 0.2)
