"""What the docs draw or list from the code is what the code says now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nodewise.config.docs import settings_page
from nodewise.domain.diagram import END, mermaid
from nodewise.domain.rollout import ACTIVE, TABLE, TERMINAL, Cause, Phase, move
from tests.docs import DOCS, pages
from tests.unit.swarm_values import rollout


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_a_generated_page_is_what_the_code_says_now(path: Path):
    assert path.read_text() == pages()[path], "run ./dev fix"


def test_a_default_that_is_found_out_at_the_start_is_told_in_words():
    assert "Undefined" not in settings_page()


def test_the_diagram_tells_of_the_detour_over_clearing_to_every_ending_that_may_need_it():
    drawn = mermaid()
    made_helpers = rollout(helpers=True)
    for (phase, cause), target in TABLE.items():
        if phase not in ACTIVE or target not in TERMINAL:
            continue
        detour = move(replace(made_helpers, phase=phase), cause, 1.0)
        assert (detour.phase, detour.ends_as) == (Phase.CLEARING, target)
        assert move(detour, Cause.CLEARED, 2.0).phase is target
        assert f"clearing --> {target}: cleared" in drawn
    assert "note right of clearing" in drawn


def test_every_phase_is_told_in_the_page_about_rollouts():
    page = (DOCS / "rollout.md").read_text().partition(END)[2]
    assert [phase for phase in Phase if f"`{phase}`" not in page] == []
