"""Rollouts and releases as they are answered. Pure: values in, shapes out."""

from __future__ import annotations

from collections.abc import Sequence

from nodewise.answers import schemas
from nodewise.domain.release import Release
from nodewise.domain.rollout import Rollout
from nodewise.domain.steps import Reading
from nodewise.domain.swarm import image_of


def rollout(value: Rollout) -> schemas.Rollout:
    """A rollout without its readings."""
    return schemas.Rollout.model_validate(_fields(value))


def rollout_detail(value: Rollout, readings: Sequence[Reading]) -> schemas.RolloutDetail:
    """A rollout with its readings, in the order they came."""
    shapes = [schemas.Reading.model_validate(r) for r in sorted(readings, key=lambda r: r.at)]
    return schemas.RolloutDetail.model_validate({**_fields(value), "readings": shapes})


def release(value: Release) -> schemas.Release:
    """A release without its spec."""
    return schemas.Release.model_validate(value)


def _fields(value: Rollout) -> dict[str, object]:
    plan = value.plan
    return {
        **{name: getattr(value, name) for name in schemas.Rollout.model_fields if hasattr(value, name)},
        "ended": value.phase.terminal,
        "from_release": value.from_number,
        "to_release": value.to_number,
        "from_image": image_of(plan.base) if plan else "",
        "to_image": image_of(plan.target) if plan else value.image,
        "strategy": plan.strategy if plan else "",
        "bake": plan.bake if plan else 0.0,
        "deadline": plan.deadline if plan else None,
        "notes": list(plan.notes) if plan else [],
        "gates": [schemas.Gate.model_validate(g) for g in plan.gates] if plan else [],
        "steps": [schemas.Step.model_validate(s) for s in value.steps],
    }
