"""What tests of builds begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulated.shop import Shop


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    made: list[Shop] = []

    def make(**build: Any) -> Shop:
        made.append(Shop(tmp_path, **build))
        return made[-1]

    yield make
    for shop in made:
        shop.world.deps.store.close()
