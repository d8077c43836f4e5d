"""How a rollout looks: header, one line per node, outcome. Pure: JSON and the time in, Rich's values out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodewise.cli.words import (
    BAD,
    GOOD,
    PHASE_STYLES,
    QUIET,
    STATE_STYLES,
    SYMBOLS,
    WARN,
    duration,
    phase_word,
    printable,
    short_image,
)
from nodewise.client import Json

UNTAKEN = 5.0  # seconds that a rollout may wait for a worker before that is worth a word
_MOST_EVIDENCE = 40  # lines
_DONE = ("passed", "failed", "skipped")
_FORWARD = ("moving", "succeeded")  # on the way back the steps stay as they were when it was turned round


def picture(rollout: Json, now: float, ascii_only: bool = False) -> RenderableType:
    """The whole rollout as it stands."""
    parts: list[RenderableType] = [headline(rollout, ascii_only), _subline(rollout, now)]
    if rollout["steps"]:
        parts += [Text(), steps_table(rollout, now, ascii_only)]
    if rollout["ended"]:
        parts += [Text(), outcome(rollout, now)]
    elif rollout["reason"]:
        parts += [Text(), Text(printable(rollout["reason"]), style=WARN)]
    return Padding(Group(*parts), (1, 1, 1, 1))


def headline(rollout: Json, ascii_only: bool = False) -> Text:
    """Service, from, to."""
    text = Text(printable(rollout["service"]), style="bold")
    if rollout["kind"] == "rollback":
        text.append("  back", style=WARN)
        number = rollout["to_release"] or rollout["requested"]
        text.append(f" to release {number}" if number else " to the good release before", style=WARN)
    if rollout["from_image"]:
        text.append(f"  {printable(short_image(rollout['from_image']))}", style=QUIET)
    if rollout["to_image"]:
        arrow = "->" if ascii_only else "→"
        text.append(f" {arrow} " if rollout["from_image"] else f"  {arrow} ", style=QUIET)
        text.append(printable(short_image(rollout["to_image"], rollout["from_image"])))
    return text


def _subline(rollout: Json, now: float) -> Text:
    text = Text(phase_word(rollout["phase"]), style=PHASE_STYLES.get(rollout["phase"], ""))
    elapsed = (rollout["ended_at"] or now) - rollout["created_at"]
    text.append(f"  {duration(elapsed)}", style=QUIET)
    passed = sum(s["state"] in ("passed", "skipped") for s in rollout["steps"])
    if rollout["steps"] and rollout["phase"] in _FORWARD:
        text.append(f"  {passed} of {len(rollout['steps'])} nodes", style=QUIET)
    text.append(f"  {rollout['id']}", style=QUIET)
    if rollout["phase"] == "queued":
        text.append("\nwaits for the rollout that moves this service now", style=WARN)
    if rollout["phase"] == "pending" and elapsed > UNTAKEN:
        text.append("\nno worker has taken it up yet; 'nodewise doctor' says whether one runs", style=WARN)
    return text


def steps_table(rollout: Json, now: float, ascii_only: bool = False) -> Table:
    """One line per node: symbol, node, state, gates, how long."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("symbol", "node", "state", "time"):
        made.add_column(column, no_wrap=True, justify="right" if column == "time" else "left")
    made.add_column("detail", overflow="ellipsis", no_wrap=True)
    for step in rollout["steps"]:
        style = STATE_STYLES.get(step["state"], "")
        made.add_row(
            Text(SYMBOLS.get(step["state"], (" ", " "))[ascii_only], style=style),
            Text(printable(step["node"]), style=QUIET if step["state"] in ("waiting", "skipped") else ""),
            Text(step["state"], style=style),
            Text(how_long(step, rollout, now), style=QUIET),
            Text(gate_words(step, rollout), style=BAD if step["state"] == "failed" else QUIET),
        )
    return made


def how_long(step: Json, rollout: Json, now: float) -> str:
    """In this state for how long; for a node that is done, how long it took from the rollout's start."""
    if step["state"] == "waiting" or not step["since"]:
        return ""
    if step["state"] in _DONE:
        return f"after {duration(step['since'] - (rollout['started_at'] or rollout['created_at']))}"
    return duration(now - step["since"]) if rollout["phase"] == "moving" else ""


def gate_words(step: Json, rollout: Json) -> str:
    """What the node waits for, or what has held: ``gate http: 503 instead of 200  http 0/3``."""
    needed = {g["name"]: g["successes"] for g in rollout["gates"]}
    counts = [
        f"{s['gate']} {min(s['passes'], needed[s['gate']])}/{needed[s['gate']]}"
        for s in step["streaks"]
        if s["gate"] in needed and needed[s["gate"]] > 1
    ]
    if step["state"] == "passed":
        return ", ".join(printable(s["detail"] or f"{s['gate']} holds") for s in step["streaks"])
    return "  ".join(printable(part) for part in (step["detail"], ", ".join(counts)) if part)


def outcome(rollout: Json, now: float) -> Text:
    """The end in one line, the reason in the next, and the evidence below."""
    phase = str(rollout["phase"])
    good = phase == "succeeded"
    text = Text(_OUTCOMES.get(phase, phase), style=GOOD if good else BAD)
    text.append(f" in {duration((rollout['ended_at'] or now) - rollout['created_at'])}", style=QUIET)
    if rollout["reason"]:
        text.append(f"\n{printable(rollout['reason'])}")
    for line in printable(rollout["evidence"]).splitlines()[:_MOST_EVIDENCE]:
        text.append(f"\n  {line}", style=QUIET)
    return text


_OUTCOMES = {
    "succeeded": "succeeded",
    "rolled_back": "rolled back: the release from before runs again",
    "rolled_back_by_swarm": "rolled back by Swarm: the release from before runs again",
    "changed": "ended: someone else changed the service",
    "superseded": "superseded by another rollout",
    "failed": "failed",
}
