"""Rows and values: each domain value to the row that holds it, and back, exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter

from nodewise.domain import events as event_codec
from nodewise.domain.build import Build, BuildState
from nodewise.domain.delivery import Delivery, StoredEvent, Verdict
from nodewise.domain.events import Event
from nodewise.domain.model import Approval, Approved, Chore, ChoreRun, OnFailure
from nodewise.domain.recipe import Recipe
from nodewise.domain.release import Release, ReleaseState
from nodewise.domain.rollout import Kind, Phase, Plan, Rollout
from nodewise.domain.steps import GatePlan, Reading, Step, StepState, Streak
from nodewise.domain.steps import Verdict as GateVerdict

Row = Mapping[Any, Any]
_RECIPE = TypeAdapter(Recipe)  # what an older version did not save is at its default
LONGEST_KEY = 200  # characters of a delivery's key


def clean(text: str) -> str:
    """PostgreSQL cannot hold NUL, nor UTF-8 half of a surrogate pair; nothing that a person reads needs either."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


def stored_key(key: str) -> str:
    """A delivery's key, or its digest where the column cannot hold it as it is: two keys must not become one."""
    if len(key) <= LONGEST_KEY and clean(key) == key:
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def event_data(event: Event) -> dict[str, Any]:
    """What stands in an event's row: whoever reads it has to be able to show it."""
    return {name: clean(v) if isinstance(v, str) else v for name, v in event_codec.to_dict(event).items()}


def rollout_row(rollout: Rollout) -> dict[str, Any]:
    """Everything but the steps, which have rows of their own, and the version, which the query counts up."""
    return {name: _column(rollout, name) for name in _COLUMNS}


_COLUMNS = tuple(f.name for f in fields(Rollout) if f.name not in ("steps", "version"))


def _column(rollout: Rollout, name: str) -> Any:
    value = getattr(rollout, name)
    if name == "plan":
        return None if value is None else asdict(value)
    return [asdict(item) for item in value] if name in ("chores", "approvals") else value


def changed_row(rollout: Rollout, before: Rollout | None) -> dict[str, Any]:
    """Only the columns that differ from *before*'s: a plan is large, and frozen."""
    if before is None:
        return rollout_row(rollout)
    return {n: _column(rollout, n) for n in _COLUMNS if getattr(rollout, n) != getattr(before, n)}


def rollout_of(row: Row, steps: Iterable[Row]) -> Rollout:
    values = {name: row[name] for name in (*_COLUMNS, "version")}
    values["kind"], values["phase"] = Kind(row["kind"]), Phase(row["phase"])
    values["plan"] = None if row["plan"] is None else plan_of(row["plan"])
    values["ends_as"] = Phase(row["ends_as"]) if row["ends_as"] else None
    values["helpers"] = bool(row["helpers"])
    values["chores"] = tuple(ChoreRun(**c) for c in row["chores"])
    values["approvals"] = tuple(Approved(**a) for a in row["approvals"])
    return Rollout(**values, steps=tuple(step_of(s) for s in steps))


def plan_of(data: Row) -> Plan:
    """A plan as it was frozen. What an older version did not know is at its default."""
    gates = {name: tuple(GatePlan(**g) for g in data.get(name, ())) for name in ("gates", "candidate_gates")}
    lists = {name: tuple(data.get(name, ())) for name in ("notes", "failed_before")}
    more = {
        "candidate_ports": tuple((target, published) for target, published in data.get("candidate_ports", ())),
        "on_failure": OnFailure(data.get("on_failure", OnFailure.ROLLBACK)),
        "approval": Approval(data.get("approval", Approval.NEVER)),
        "chores": tuple(_chore_of(c) for c in data.get("chores", ())),
    }
    return Plan(**{**data, **gates, **lists, **more})


def _chore_of(data: Row) -> Chore:
    return Chore(**{**data, "nodes": tuple(data["nodes"]), "command": tuple(data["command"])})


def step_row(rollout_id: str, position: int, step: Step) -> dict[str, Any]:
    row = {name: getattr(step, name) for name in _STEP_COLUMNS}
    streaks = [{name: getattr(s, name) for name in _STREAK_COLUMNS} for s in step.streaks]
    return {**row, "rollout_id": rollout_id, "position": position, "tasks": list(step.tasks), "streaks": streaks}


_STEP_COLUMNS = tuple(f.name for f in fields(Step))
_STREAK_COLUMNS = tuple(f.name for f in fields(Streak))


def step_of(row: Row) -> Step:
    return Step(
        node_id=row["node_id"],
        node=row["node"],
        state=StepState(row["state"]),
        since=row["since"],
        tasks=tuple(row["tasks"]),
        streaks=tuple(Streak(**s) for s in row["streaks"]),
        detail=row["detail"],
        stage=row["stage"],
        size=row["size"],
        first_passed=row["first_passed"],
    )


def reading_row(rollout_id: str, reading: Reading) -> dict[str, Any]:
    row = asdict(reading)
    row.pop("reached")
    row.pop("memo")
    return {**row, "rollout_id": rollout_id, "detail": clean(reading.detail)}


def reading_of(row: Row) -> Reading:
    return Reading(row["gate"], row["node_id"], GateVerdict(row["verdict"]), row["detail"], row["at"], row["task_id"])


def release_row(release: Release) -> dict[str, Any]:
    return {**asdict(release), "fingerprint": release.fingerprint}


def release_of(row: Row) -> Release:
    values = {f.name: row[f.name] for f in fields(Release)}
    return Release(**{**values, "state": ReleaseState(row["state"])})


def build_row(build: Build) -> dict[str, Any]:
    row = asdict(build)
    row.pop("version")
    return row | {name: clean(row[name]) for name in ("error", "author", "message")}


def build_of(row: Row) -> Build:
    values = {f.name: row[f.name] for f in fields(Build)}
    return Build(**{**values, "state": BuildState(row["state"]), "recipe": _RECIPE.validate_python(row["recipe"])})


def delivery_of(row: Row) -> Delivery:
    values = {f.name: row[f.name] for f in fields(Delivery)}
    return Delivery(**{**values, "verdict": Verdict(row["verdict"])})


def event_of(row: Row) -> StoredEvent:
    return StoredEvent(
        id=row["id"],
        event=event_codec.from_dict(row["kind"], row["data"]),
        origin=row["origin"],
        created_at=row["created_at"],
        delivery_id=row["delivery_id"] or "",
        done_at=row["done_at"],
        outcome=row["outcome"],
    )
