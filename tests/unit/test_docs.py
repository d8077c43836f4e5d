"""What the docs draw or list from the code is what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_a_generated_page_is_what_the_code_says_now(path: Path):
    assert path.read_text() == pages()[path], "run ./dev fix"
