"""How builds look: listed in 100 columns, and one in full. JSON in, tables out."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from nodewise.cli.tables import cell, stamp, table
from nodewise.cli.words import BAD, BUSY, GOOD, QUIET, ago, duration, printable, short_digest
from nodewise.client import Json

_LONGEST = 72  # characters of a message, or of an error, in a table
STYLES = {
    "waiting": QUIET,
    "building": BUSY,
    "built": BUSY,
    "pushed": GOOD,
    "failed": BAD,
    "skipped": QUIET,
    "replaced": QUIET,
}


def build_table(builds: Iterable[Json]) -> Table:
    """Builds, newest first. The image, and the error in full, are shown with the single one."""
    made = table("BUILD", "NAME", "REF", "STATE", "STARTED", "TOOK", "COMMIT")
    now = time.time()
    for build in builds:
        made.add_row(
            cell(build["id"]),
            cell(build["name"], "bold"),
            cell(ref(build)),
            cell(build["state"], STYLES.get(build["state"], "")),
            cell(ago(build["created_at"], now), QUIET),
            cell(took(build, now), QUIET),
            _commit(build),
        )
    return made


def facts(build: Json) -> Table:
    """One build in full, a line for each thing that is known of it."""
    made = Table.grid(padding=(0, 2, 0, 0))
    now = time.time()
    rows = {
        "build": cell(build["id"], "bold"),
        "name": cell(build["name"]),
        "state": cell(build["state"], STYLES.get(build["state"], "")),
        "commit": cell(f"{build['commit']} of {ref(build)}"),
        "message": cell(build["message"]),
        "author": cell(build["author"]),
        "committed": _when(build["committed_at"], now),
        "repository": cell(build["repository"]),
        "image": cell(build["image"]),
        "digest": cell(build["digest"], QUIET),
        "builder": cell(build["builder"], QUIET),
        "asked for": _when(build["created_at"], now),
        "took": cell(took(build, now)),
        "error": cell(build["error"]),
    }
    for name, value in rows.items():
        if value.plain:
            made.add_row(cell(name, QUIET), value)
    return made


def ref(build: Json) -> str:
    """The branch or the tag."""
    name: str = build["ref"]
    return name.removeprefix("refs/heads/").removeprefix("refs/tags/")


def took(build: Json, now: float) -> str:
    """From the start to the end, or to now; empty for one that has not begun."""
    if build["duration"] is not None:
        return duration(build["duration"])
    going = build["started_at"] is not None and not build["ended"]
    return duration(now - build["started_at"]) if going else ""


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line for line in text.splitlines() if line.strip()), "")


def ending(build: Json) -> str:
    """A build's state in one line, with what there is to say of it."""
    said = f"build {build['id']} of {build['name']} {build['state']}"
    if build["state"] == "pushed":
        return f"{said}: {build['image']} ({short_digest(build['digest'])}) in {took(build, 0.0)}"
    return f"{said}: {build['error']}" if build["error"] else said


def _commit(build: Json) -> Text:
    """The commit with what it says of itself and who wrote it; below, why there is no image."""
    text = cell(build["commit"][:7], QUIET)
    if build["message"]:
        text.append(f" {_cut(build['message'])}")
    if build["author"]:
        text.append(f" ({printable(build['author'])})", QUIET)
    if build["error"]:
        text.append(f"\n{_cut(first_line(build['error']))}", BAD if build["state"] == "failed" else QUIET)
    return text


def _cut(text: str) -> str:
    return textwrap.shorten(printable(text), _LONGEST, placeholder=" ...")


def _when(at: float | None, now: float) -> Text:
    return cell("" if at is None else f"{stamp(at)}, {ago(at, now)}")
