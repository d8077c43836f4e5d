"""A rollout line by line: for logs and pipes. Prints what has changed, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rich.console import Console

from nodewise.cli import asks
from nodewise.cli.view import gate_words, headline, outcome
from nodewise.cli.words import CHORE_NAMES, printable
from nodewise.client import Json


def show(out: Console, states: Iterable[Json | None]) -> Json:
    """Print until the end. Returns the last state."""
    last: Json | None = None
    for state in states:
        if state is None:
            continue
        for line in changes(last, state):
            out.print(f"{time.strftime('%H:%M:%S')} {printable(line)}", markup=False, soft_wrap=True)
        last = state
    assert last is not None
    out.print(outcome(last, time.time()), soft_wrap=True)
    return last


def changes(before: Json | None, after: Json) -> Iterator[str]:
    """What is new in *after*, in words."""
    if before is None or before["to_image"] != after["to_image"] or before["from_image"] != after["from_image"]:
        yield headline(after, ascii_only=True).plain
    if before is None or not before["notes"]:
        yield from (f"note: {note}" for note in after["notes"])
    if before is None or before["phase"] != after["phase"]:
        reason = f": {after['reason']}" if after["reason"] and not after["ended"] else ""
        yield f"{after['service']} {after['phase']}{reason}"
    yield from _said(before, after)
    yield from _chores(before, after)
    yield from _steps(before, after)


def _said(before: Json | None, after: Json) -> Iterator[str]:
    """What holds it, what was answered, and how far the app is."""
    for words in (asks.held, asks.question, asks.abort, asks.app):
        said = words(after)
        if said and (before is None or words(before) != said):
            yield said
    if before is not None and before["held"] and not after["held"] and before["phase"] == after["phase"]:
        yield "not held any more"
    known = len(before["approvals"]) if before is not None else 0
    yield from (f"{a['what']} was approved by {a['who']}" for a in after["approvals"][known:])


def _chores(before: Json | None, after: Json) -> Iterator[str]:
    known = {c["name"]: (c["state"], c["attempts"]) for c in before["chores"]} if before is not None else {}
    for chore in after["chores"]:
        if known.get(chore["name"]) != (chore["state"], chore["attempts"]):
            name = CHORE_NAMES.get(chore["name"], chore["name"])
            detail = "" if chore["detail"] == chore["state"] else chore["detail"]
            yield f"{name} {chore['state']} {detail}".rstrip()


def _steps(before: Json | None, after: Json) -> Iterator[str]:
    staged = any(s["stage"] for s in after["steps"])
    known = {s["node_id"]: s["state"] for s in before["steps"]} if before is not None else {}
    for step in after["steps"]:
        if known.get(step["node_id"]) != step["state"]:
            detail = gate_words(step, after) if step["state"] in ("gating", "passed") else step["detail"]
            stage = f" (stage {step['stage'] + 1})" if staged else ""
            yield f"{step['node']}{stage} {step['state']} {detail}".rstrip()
