"""How a rollout looks: header, chores, one line per node, outcome. Pure: JSON and the time in, Rich's values out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodewise.cli import asks
from nodewise.cli.words import (
    BAD,
    CHORE_NAMES,
    CHORE_STYLES,
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

_MOST_EVIDENCE = 40  # lines
_DONE = ("passed", "failed", "skipped")
# On the way back the steps stay as they were when it was turned round.
_FORWARD = ("staging", "moving", "finishing", "watching", "succeeded")


def picture(rollout: Json, now: float, ascii_only: bool = False) -> RenderableType:
    """The whole rollout as it stands."""
    parts: list[RenderableType] = [headline(rollout, ascii_only), _subline(rollout, now)]
    parts += [Text(printable(line), style=WARN) for line in asks.waits(rollout, now)]
    if asks.app(rollout):
        parts.append(Text(printable(asks.app(rollout)), style=QUIET))
    if rollout["chores"]:
        parts += [Text(), chores_table(rollout, ascii_only)]
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
    text.append_text(from_to(rollout["from_image"], rollout["to_image"], ascii_only))
    return text


def from_to(old: str, new: str, ascii_only: bool = False) -> Text:
    """``  1.4.1 (…) → 1.4.2 (…)``; what is not known is left out."""
    text = Text()
    if old:
        text.append(f"  {printable(short_image(old))}", style=QUIET)
    if new:
        arrow = "->" if ascii_only else "→"
        text.append(f" {arrow} " if old else f"  {arrow} ", style=QUIET)
        text.append(printable(short_image(new, old)))
    return text


def _subline(rollout: Json, now: float) -> Text:
    text = Text(phase_word(rollout["phase"]), style=PHASE_STYLES.get(rollout["phase"], ""))
    elapsed = (rollout["ended_at"] or now) - rollout["created_at"]
    text.append(f"  {duration(elapsed)}", style=QUIET)
    steps = rollout["steps"]
    if steps and rollout["phase"] in _FORWARD:
        passed = sum(_over(s) for s in steps)
        text.append(f"  {passed} of {len(steps)} nodes", style=QUIET)
    if steps and rollout["phase"] == "staging":
        stages = {s["stage"] for s in steps}
        now_at = min((s["stage"] for s in steps if not _over(s)), default=max(stages))
        text.append(f"  stage {now_at + 1} of {len(stages)}", style=QUIET)
    text.append(f"  {rollout['id']}", style=QUIET)
    return text


def _over(step: Json) -> bool:
    return step["state"] in ("passed", "skipped")


def chores_table(rollout: Json, ascii_only: bool = False) -> Table:
    """One line per chore: symbol, name, state, what it is at."""
    made = _lines("symbol", "chore", "state")
    for chore in rollout["chores"]:
        style = CHORE_STYLES.get(chore["state"], "")
        tries = f"  try {chore['attempts']}" if chore["attempts"] > 1 else ""
        detail = "" if chore["detail"] == chore["state"] else chore["detail"]
        made.add_row(
            Text(SYMBOLS.get(chore["state"], (" ", " "))[ascii_only], style=style),
            Text(CHORE_NAMES.get(chore["name"], chore["name"])),
            Text(chore["state"], style=style),
            Text(printable(f"{detail}{tries}".strip()), style=BAD if chore["state"] == "failed" else QUIET),
        )
    return made


def _lines(*columns: str) -> Table:
    """A table without head or frame, whose last column takes what room there is."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=True, justify="right" if column == "time" else "left")
    made.add_column("detail", overflow="ellipsis", no_wrap=True)
    return made


def steps_table(rollout: Json, now: float, ascii_only: bool = False) -> Table:
    """One line per node: symbol, node, state, gates, how long. Where there are stages, each begins with its number."""
    staged = any(s["stage"] for s in rollout["steps"])
    made = _lines(*(["stage"] if staged else []), "symbol", "node", "state", "time")
    before = None
    for step in rollout["steps"]:
        style = STATE_STYLES.get(step["state"], "")
        stage = "" if step["stage"] == before else f"stage {step['stage'] + 1}"
        before = step["stage"]
        made.add_row(
            *([Text(stage, style=QUIET)] if staged else []),
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
    return duration(now - step["since"]) if rollout["phase"] in ("moving", "staging") else ""


def gate_words(step: Json, rollout: Json) -> str:
    """What the node waits for, or what has held: ``gate http: 503 instead of 200  http 0/3``."""
    needed = {g["name"]: g["successes"] for g in (*rollout["gates"], *rollout["candidate_gates"])}
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
    text = Text(ending(rollout), style=GOOD if phase == "succeeded" else BAD)
    text.append(f" in {duration((rollout['ended_at'] or now) - rollout['created_at'])}", style=QUIET)
    if rollout["reason"]:
        text.append(f"\n{printable(rollout['reason'])}")
    for line in printable(_evidence(rollout)).splitlines()[-_MOST_EVIDENCE:]:
        text.append(f"\n  {line}", style=QUIET)
    if phase == "frozen":
        text.append(
            f"\nthe service was locked by it; to go on: nodewise unlock {printable(rollout['service'])}", style=WARN
        )
    return text


def ending(rollout: Json) -> str:
    """How it ended, in words."""
    phase = str(rollout["phase"])
    touched = "the release from before runs again" if rollout["written_at"] else "the service was not touched"
    return f"{phase_word(phase)}: {touched}" if phase in _TAKEN_BACK else _OUTCOMES.get(phase, phase)


def _evidence(rollout: Json) -> str:
    """The failed task's last words; else the failed chore's."""
    return rollout["evidence"] or next((c["log"] for c in rollout["chores"] if c["state"] == "failed"), "")


_TAKEN_BACK = ("rolled_back", "aborted")
_OUTCOMES = {
    "succeeded": "succeeded",
    "rolled_back_by_swarm": "rolled back by Swarm: the release from before runs again",
    "changed": "ended: someone else changed the service",
    "superseded": "superseded by another rollout",
    "frozen": "frozen: a gate or a task failed, and everything was left as it is",
    "failed": "failed",
}
