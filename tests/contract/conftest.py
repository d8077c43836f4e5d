"""Every test of the store runs on SQLite and on PostgreSQL, every test of the engine simulated and on the lab."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nodewise.store import Store
from tests import postgres
from tests.lab.lab import Lab
from tests.swarms import Ground, RealGround, SimulatedGround

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    if reason := postgres.why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres.running() as socket:
        yield socket


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/nodewise.db"
    socket = request.getfixturevalue("_postgres")
    name = f"test_{next(_numbers)}"
    with psycopg.connect(host=socket, user="nodewise", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url_of(socket, name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _real(_lab: Lab, pinned_images: tuple[str, str]) -> Iterator[RealGround]:
    """The lab's swarm. Tests remove their services and go on; that their containers are gone is waited for once."""
    ground = RealGround(Lab.up(), *pinned_images)
    yield ground
    ground.until(lambda: ground.gone(ground.past))


@pytest.fixture(params=["simulated", pytest.param("lab", marks=pytest.mark.lab)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    made = SimulatedGround() if request.param == "simulated" else request.getfixturevalue("_real")
    yield made
    made.clear()
