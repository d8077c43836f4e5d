"""What the docs draw or list from the code is what the code says now."""

from __future__ import annotations

from pathlib import Path

from nodewise.domain.diagram import redraw

DOCS = Path(__file__).parents[2] / "docs"


def test_the_state_diagram_is_drawn_from_the_table():
    page = (DOCS / "rollout.md").read_text()
    assert redraw(page) == page, "run ./dev fix"
