"""What a rollout waits for, and what a person can type about it. Pure: JSON in, words out."""

from __future__ import annotations

from collections.abc import Iterator

from nodewise.cli.words import duration, phase_word
from nodewise.client import Json

UNTAKEN = 5.0  # seconds that a rollout may wait for a worker before that is worth a word


def waits(rollout: Json, now: float) -> Iterator[str]:
    """Everything that keeps it where it is, a line each."""
    yield from filter(None, (held(rollout), question(rollout), abort(rollout)))
    phase = rollout["phase"]
    until = rollout["approve_until"]
    if until is not None:
        yield f"it is called off in {duration(until - now)} if nobody approves"
    if phase == "queued":
        yield "waits for the rollout that moves this service now"
    if phase == "waiting":
        yield "waits for its turn in the app"
    if phase == "clearing" and rollout["ends_as"]:
        yield f"removes the services that it has made; then it is {phase_word(rollout['ends_as'])}"
    if phase == "watching" and rollout["watch_until"]:
        yield f"its gates are watched for {duration(rollout['watch_until'] - now)} more"
    if phase == "pending" and not rollout["reason"] and now - rollout["created_at"] > UNTAKEN:
        yield "no worker has taken it up yet; 'nodewise doctor' says whether one runs"


def held(rollout: Json) -> str:
    """Why it is held, and how to go on."""
    return f"held: {rollout['held']}; go on with: nodewise resume {rollout['id']}" if rollout["held"] else ""


def question(rollout: Json) -> str:
    """What waits for a person's yes, and how to say it."""
    what = rollout["waits_for"]
    if not what:
        return ""
    when = "before the new release takes over" if what == "write" else f"after {what}"
    return f"waits for an approval {when}: nodewise approve {rollout['id']}"


def abort(rollout: Json) -> str:
    """Who has asked for its end, until that has come."""
    return f"its end was asked for by {rollout['abort']}" if rollout["abort"] and not rollout["ended"] else ""


def app(rollout: Json) -> str:
    """The app that it is part of, and how far the others are; empty for a service on its own."""
    found = rollout["app"]
    if found is None:
        return ""
    others = [_member(m) for m in found["others"]]
    name = f"app {found['name']}" if found["name"] else f"app rollout {rollout['app_rollout']}"
    return f"{name}, stage {rollout['stage'] + 1}: {', '.join(others) or 'no other service'}"


def _member(member: Json) -> str:
    back = " back" if member["kind"] == "rollback" else ""
    held = " (held)" if member["held"] else ""
    return f"{member['service']}{back} {phase_word(member['phase'])}{held}"
