"""A real registry (Debian's docker-registry) that sends real notifications."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.processes import wait_until

BINARY = "docker-registry"


class Registry:
    """One registry process on the lab's host address, a child of its starter."""

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        endpoints: Sequence[dict[str, Any]] = (),
        deleting: bool = True,
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.endpoints = list(endpoints)
        self.deleting = deleting
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As it stands in image names."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Registry:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "registry.yml"
        config.write_text(yaml.safe_dump(self._config()))
        with (self.folder / "registry.log").open("ab") as log:
            self._process = subprocess.Popen([BINARY, "serve", str(config)], stdout=log, stderr=log)
        try:
            wait_until(f"the registry on {self.address}", self._answers)
        except BaseException:  # nobody else knows of it yet
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the registry ended: {(self.folder / 'registry.log').read_text()[-2000:]}")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=2)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _config(self) -> dict[str, Any]:
        defaults = {"timeout": "1s", "threshold": 3, "backoff": "500ms"}
        named = [{"name": f"nodewise-{n}", **defaults, **e} for n, e in enumerate(self.endpoints)]
        return {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": self.deleting},
            },
            "http": {"addr": f"{self.host}:{self.port}"},
            "notifications": {"endpoints": named},
        }
