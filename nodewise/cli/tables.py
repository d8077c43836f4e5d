"""Tables: from the API's JSON to what Rich prints. Text from outside is never taken for markup."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodewise.cli import asks
from nodewise.cli.words import (
    BAD,
    GOOD,
    PHASE_STYLES,
    QUIET,
    WARN,
    ago,
    duration,
    image_parts,
    phase_word,
    printable,
    short_digest,
    short_image,
)
from nodewise.client import Json

_PIPE_WIDTH = 240  # columns where there is no terminal: a script's line must not be cut


def console(stderr: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough without one."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a terminal without unicode gets question marks, not an error
    terminal = stream.isatty()
    return Console(stderr=stderr, width=None if terminal else _PIPE_WIDTH, highlight=False)


def cell(text: object, style: str = "") -> Text:
    """One value, printable, in one style."""
    return Text(printable("" if text is None else str(text)), style=style)


def table(*columns: str) -> Table:
    """No lines, a quiet head, and the last column takes what room there is."""
    made = Table(box=None, header_style=QUIET, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for column in columns[:-1]:
        made.add_column(column, no_wrap=True, overflow="fold")
    made.add_column(columns[-1], overflow="fold")
    return made


def status_table(services: Iterable[Json]) -> Table:
    """One line a service: what runs, what it follows, and how the last rollout went."""
    made = table("SERVICE", "RUNS", "DIGEST", "RELEASE", "TASKS", "TRACKS", "LAST ROLLOUT")
    now = time.time()
    for service in services:
        _, tag, digest = image_parts(service["image"])
        replicas = service["replicas"]
        full = replicas["running"] == replicas["wanted"]
        made.add_row(
            cell(service["name"], "bold"),
            cell(tag or "-"),
            cell(digest, QUIET),
            cell(service["release"] or "-"),
            cell(f"{replicas['running']}/{replicas['wanted']}", "" if full else WARN),
            _tracks(service),
            last_rollout(service["rollout"], now),
        )
    return made


def _tracks(service: Json) -> Text:
    text = cell("misconfigured", WARN) if service["problems"] else cell(service["track"] or "-")
    if any(not lock["digest"] for lock in service["locks"]):
        text.append("  locked", WARN)
    return text


def last_rollout(rollout: Json | None, now: float) -> Text:
    """Phase, when, and the reason unless all went well."""
    if rollout is None:
        return cell("-", QUIET)
    text = cell(phase_word(rollout["phase"]), PHASE_STYLES.get(rollout["phase"], ""))
    when = ago(rollout["ended_at"] or rollout["created_at"], now)
    text.append(f"  {when}  {rollout['id']}", QUIET)
    for line in filter(None, (asks.held(rollout), asks.question(rollout), asks.abort(rollout))):
        text.append(f"\n{printable(line)}", WARN)
    if rollout["reason"] and rollout["phase"] != "succeeded":
        text.append(f"\n{printable(rollout['reason'])}")
    return text


def problem_lines(services: Iterable[Json]) -> list[Text]:
    """Misconfigured labels in full: what stands there, what is allowed, what was perhaps meant."""
    lines = []
    for service in services:
        for problem in service["problems"]:
            line = cell(f"{service['name']}: ", "bold")
            line.append(printable(f"{problem['label']}={problem['value']!r}"), WARN)
            line.append(printable(f" is not understood; allowed: {problem['allowed']}"))
            if problem["nearest"]:
                line.append(printable(f"; did you mean {problem['nearest']!r}?"))
            lines.append(line)
    return lines


def lock_lines(services: Iterable[Json], digests: bool = False) -> list[Text]:
    """Locked services, by whom and why; *digests*: those of single digests too."""
    lines = []
    for service in services:
        for lock in service["locks"]:
            if lock["digest"] and not digests:
                continue
            what = f" {short_digest(lock['digest'])}" if lock["digest"] else ""
            line = cell(f"{service['name']}{what}: ", "bold")
            line.append(printable(f"locked by {lock['who']}, {ago(lock['at'], time.time())}: {lock['reason']}"))
            lines.append(line)
    return lines


def candidate_lines(candidates: Iterable[Json]) -> list[Text]:
    """What runs beside the service while a rollout is staged."""
    lines = []
    for candidate in candidates:
        running, wanted = candidate["replicas"]["running"], candidate["replicas"]["wanted"]
        line = cell(f"{candidate['node']}: ", "bold")
        line.append(printable(f"{short_image(candidate['image'])}  {running}/{wanted}  {candidate['name']}"))
        lines.append(line)
    return lines


def task_table(nodes: Iterable[Json]) -> Table:
    """The tasks that should run, and those that failed, by node."""
    made = table("NODE", "TASK", "STATE", "RUNS", "ERROR")
    for node in nodes:
        for task in node["tasks"]:
            if task["desired"] != "running" and task["state"] not in ("failed", "rejected"):
                continue
            _, tag, digest = image_parts(task["image"])
            style = GOOD if task["state"] == "running" else BAD if task["error"] else ""
            where = cell(node["node"] or "(none yet)", "" if node["state"] in ("ready", "") else WARN)
            made.add_row(
                where,
                cell(task["id"][:12], QUIET),
                cell(task["state"], style),
                cell(f"{tag} {digest}"),
                cell(task["error"]),
            )
    return made


def rollout_table(rollouts: Iterable[Json]) -> Table:
    """Rollouts, newest first."""
    made = table("ROLLOUT", "SERVICE", "KIND", "FROM", "TO", "PHASE", "STARTED", "TOOK", "BY", "REASON")
    now = time.time()
    for rollout in rollouts:
        _, tag, digest = image_parts(rollout["to_image"])
        to = rollout["to_release"] or rollout["requested"]
        made.add_row(
            cell(rollout["id"]),
            cell(rollout["service"], "bold"),
            cell(rollout["kind"]),
            cell(rollout["from_release"] or "-"),
            cell(f"{to or '-'}  {tag or digest}".rstrip()),
            cell(phase_word(rollout["phase"]), PHASE_STYLES.get(rollout["phase"], "")),
            cell(ago(rollout["created_at"], now), QUIET),
            cell(took(rollout, now), QUIET),
            cell(rollout["origin"], QUIET),
            cell(asks.held(rollout) or asks.question(rollout) or rollout["reason"]),
        )
    return made


def took(rollout: Json, now: float) -> str:
    """From the request to the end, or to now."""
    return duration((rollout["ended_at"] or now) - rollout["created_at"])


def release_table(releases: Iterable[Json]) -> Table:
    """Releases, newest first."""
    made = table("RELEASE", "STATE", "RUNS", "DIGEST", "SINCE", "FROM")
    styles = {"good": GOOD, "bad": BAD}
    for release in releases:
        _, tag, digest = image_parts(release["image"])
        made.add_row(
            cell(release["number"], "bold"),
            cell(release["state"], styles.get(release["state"], "")),
            cell(tag or "-"),
            cell(digest or release["digest"], QUIET),
            cell(stamp(release["created_at"])),
            cell(release["origin"]),
        )
    return made


def node_table(nodes: Iterable[Json]) -> Table:
    """Nodes, by name."""
    made = table("NODE", "ROLE", "STATE", "AVAILABILITY", "ADDRESS", "ENGINE")
    for node in nodes:
        made.add_row(
            cell(node["name"], "bold"),
            cell(node["role"]),
            cell(node["state"], GOOD if node["state"] == "ready" else BAD),
            cell(node["availability"], "" if node["availability"] == "active" else WARN),
            cell(node["address"]),
            cell(node["engine_version"]),
        )
    return made


def stamp(at: float | None) -> str:
    """A time of the machine's own zone."""
    return "" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def show(out: Console, made: Table, empty: str, rows: Sequence[Json]) -> None:
    """The table, or one line that says that there is nothing."""
    out.print(made if rows else cell(empty, QUIET))
