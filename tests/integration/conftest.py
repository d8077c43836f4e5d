"""The real swarm, as the adapters' tests want it: a manager, a worker, a registry with two images. And the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from nodewise.cli import app
from tests.integration.standing_swarm import OnSwarm, standing
from tests.integration.swarm_parts import RealSwarm
from tests.integration.web_parts import Api, Run, open_api
from tests.lab.lab import Lab
from tests.lab.registry import Registry


@pytest.fixture
def swarm(lab: Lab, registry: Registry, pinned_images: tuple[str, str]) -> Iterator[RealSwarm]:
    parts = RealSwarm(lab, registry.address, *pinned_images)
    yield parts
    Lab.up()  # to clear there has to be a leader
    parts.clear()


@pytest.fixture
def on_swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnSwarm]:
    with standing(tmp_path, monkeypatch) as make:
        yield make


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with open_api(tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def run(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The command line as typed, asking that API."""
    monkeypatch.setenv("NODEWISE_URL", api.url)
    monkeypatch.setenv("NODEWISE_TOKEN", api.token)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # the API in this process logs elsewhere
    yield lambda *words: CliRunner().invoke(app, list(words))
    structlog.reset_defaults()
