"""Rollouts and releases as they are answered. Pure: values in, shapes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodewise.answers import rollout_schemas, schemas
from nodewise.domain.model import Approval, ChoreRun, OnFailure
from nodewise.domain.release import Release
from nodewise.domain.rollout import Rollout
from nodewise.domain.staging import open_question
from nodewise.domain.steps import Reading
from nodewise.domain.swarm import image_of

APP_LABEL = "nodewise.app"


def rollout(value: Rollout, app: rollout_schemas.App | None = None) -> rollout_schemas.Rollout:
    """A rollout without its readings."""
    return rollout_schemas.Rollout.model_validate({**_fields(value), "app": app})


def listed(value: Rollout) -> rollout_schemas.Rollout:
    """A rollout as one of many: without what its chores have printed."""
    shape = rollout(value)
    return shape.model_copy(update={"chores": [c.model_copy(update={"log": ""}) for c in shape.chores]})


def rollout_detail(
    value: Rollout, readings: Sequence[Reading], app: rollout_schemas.App | None = None
) -> rollout_schemas.RolloutDetail:
    """A rollout with its readings, in the order they came."""
    shapes = [rollout_schemas.Reading.model_validate(r) for r in sorted(readings, key=lambda r: r.at)]
    return rollout_schemas.RolloutDetail.model_validate({**_fields(value), "app": app, "readings": shapes})


def app_of(value: Rollout, members: Sequence[Rollout], defaults: Mapping[str, str]) -> rollout_schemas.App:
    """The app whose rollout *value* is one of the *members* of. *defaults*: the file's, for labels."""
    planned = (m.plan.target.get("Labels") or {} for m in members if m.plan is not None)
    name = next((labels.get(APP_LABEL) or defaults.get("app", "") for labels in planned), "")
    others = [rollout_schemas.Member.model_validate(m) for m in members if m.id != value.id]
    return rollout_schemas.App(name=name, others=others)


def release(value: Release) -> schemas.Release:
    """A release without its spec."""
    return schemas.Release.model_validate(value)


def _fields(value: Rollout) -> dict[str, object]:
    plan = value.plan
    return {
        **{name: getattr(value, name) for name in rollout_schemas.Rollout.model_fields if hasattr(value, name)},
        "ended": value.phase.terminal,
        "from_release": value.from_number,
        "to_release": value.to_number,
        "from_image": image_of(plan.base) if plan else "",
        "to_image": image_of(plan.target) if plan else value.image,
        "strategy": plan.strategy if plan else "",
        "bake": plan.bake if plan else 0.0,
        "deadline": plan.deadline if plan else None,
        "watch": plan.watch if plan else 0.0,
        "on_failure": plan.on_failure if plan else OnFailure.ROLLBACK,
        "approval": plan.approval if plan else Approval.NEVER,
        "waits_for": open_question(value),
        "approve_until": _approve_until(value),
        "notes": list(plan.notes) if plan else [],
        "gates": [rollout_schemas.Gate.model_validate(g) for g in plan.gates] if plan else [],
        "candidate_gates": [rollout_schemas.Gate.model_validate(g) for g in plan.candidate_gates] if plan else [],
        "steps": [rollout_schemas.Step.model_validate(s) for s in value.steps],
        "chores": [_chore(c) for c in value.chores],
    }


def _approve_until(value: Rollout) -> float | None:
    if value.plan is None or value.idle_since is None or value.held or not open_question(value):
        return None
    return value.idle_since + value.plan.approval_deadline


def _chore(run: ChoreRun) -> rollout_schemas.Chore:
    begun = run.made or bool(run.detail)
    state = "failed" if run.failed else "done" if run.done else "doing" if begun else "waiting"
    return rollout_schemas.Chore(
        name=run.name,
        state=rollout_schemas.ChoreState(state),
        detail=run.detail,
        attempts=run.attempts,
        log=run.log,
    )
