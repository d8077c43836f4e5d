"""Templates of what people are told."""

from __future__ import annotations

from nodewise.adapters.notifications import filled
from nodewise.domain.rollout import Phase
from nodewise.domain.telling import of_rollout
from nodewise.domain.urls import told_at
from tests.unit.swarm_values import rollout


def test_a_template_is_filled_in_one_pass_and_other_braces_stay():
    told = of_rollout(rollout(Phase.FAILED, reason="{who} {nobody}"))
    text = filled("{service} {state}: {reason} {} {link}", told, told_at("https://n.test", told.subject))
    assert text == "web failed: {who} {nobody} {} https://n.test/api/v1/rollouts/r-1"
