"""A rollout line by line: for logs and pipes. Prints what has changed, and nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rich.console import Console

from nodewise.cli.view import gate_words, headline, outcome
from nodewise.client import Json


def show(out: Console, states: Iterable[Json | None]) -> Json:
    """Print until the end. Returns the last state."""
    last: Json | None = None
    for state in states:
        if state is None:
            continue
        for line in changes(last, state):
            out.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, soft_wrap=True)
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
    known = {s["node_id"]: s["state"] for s in (before or {"steps": []})["steps"]}
    for step in after["steps"]:
        if known.get(step["node_id"]) != step["state"]:
            detail = gate_words(step, after) if step["state"] in ("gating", "passed") else step["detail"]
            yield f"{step['node']} {step['state']} {detail}".rstrip()
