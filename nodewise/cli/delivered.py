"""How deliveries look: listed with what came of each, one in full, and what was turned away. JSON in, tables out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodewise.cli import built
from nodewise.cli.tables import cell, stamp, table
from nodewise.cli.words import (
    BAD,
    GOOD,
    PHASE_STYLES,
    QUIET,
    WARN,
    ago,
    count,
    phase_word,
    printable,
    short_digest,
)
from nodewise.client import Json

_STYLES = {"accepted": GOOD, "unusable": WARN}
_STATES = {"handled": GOOD, "waiting": QUIET, "failed": BAD}
_WAITS = "not handled yet"


def listed(deliveries: Iterable[Json]) -> Table:
    """Deliveries, newest first. Narrow enough for 80 columns: the time in full is shown with the single one."""
    made = table("DELIVERY", "RECEIVED", "HOOK", "STATE", "WHAT CAME OF IT")
    now = time.time()
    for delivery in deliveries:
        made.add_row(
            cell(delivery["id"]),
            cell(ago(delivery["received_at"], now), QUIET),
            cell(place(delivery)),
            _stands(delivery),
            came_of(delivery),
        )
    return made


def place(delivery: Json) -> str:
    """The provider, and the hook where that has a name of its own: what stands in the address."""
    provider, hook = delivery["provider"], delivery["hook"]
    return provider if hook == provider else f"{provider}/{hook}"


def came_of(delivery: Json) -> Text:
    """Each different outcome on a line, and what became of each thing that was started; else the note."""
    outcomes = dict.fromkeys(outcome or _WAITS for outcome in delivery["outcomes"])
    lines = [cell(outcome) for outcome in outcomes] + [line for _, line in _started(delivery)]
    return Text("\n").join(lines) if lines else cell(delivery["note"])


def _started(delivery: Json) -> Iterable[tuple[str, Text]]:
    """(what it is, its id with what became of it), builds first. Of an error the first line."""
    for build in delivery["builds"]:
        yield "build", _fate(build["id"], build["state"], built.STYLES.get(build["state"], ""), build["error"])
    for rollout in delivery["rollouts"]:
        phase, reason = rollout["phase"], "" if rollout["phase"] == "succeeded" else rollout["reason"]
        yield "rollout", _fate(rollout["id"], phase_word(phase), PHASE_STYLES.get(phase, ""), reason)


def _fate(id_: str, state: str, style: str, reason: str) -> Text:
    text = cell(f"{id_} ")
    text.append(state, style)
    text.append(f": {printable(built.first_line(reason))}" if reason else "")
    return text


def facts(delivery: Json) -> Table:
    """One delivery in full, a line for each thing that is known of it."""
    made = Table.grid(padding=(0, 2, 0, 0))
    rows = {
        "delivery": cell(delivery["id"], "bold"),
        "received": cell(f"{stamp(delivery['received_at'])}, {ago(delivery['received_at'], time.time())}"),
        "hook": cell(place(delivery)),
        "verdict": _verdict(delivery),
        "state": _stands(delivery) if delivery["outcomes"] else cell(""),
        "note": cell(delivery["note"]),
        "key": cell(delivery["key"], QUIET),
        "size": cell(count(delivery["size"], "byte"), QUIET),
    }
    for name, value in (*rows.items(), *_started(delivery)):
        if value.plain:
            made.add_row(cell(name, QUIET), value)
    return made


def events(found: Iterable[Json]) -> Table:
    """What a delivery meant, and what that led to."""
    made = table("EVENT", "KIND", "WHAT", "WHAT CAME OF IT")
    for event in found:
        outcome = event["outcome"] or ("nothing" if event["done_at"] else _WAITS)
        made.add_row(cell(event["id"]), cell(event["kind"].replace("_", " ")), cell(_what(event)), cell(outcome))
    made.columns[2].no_wrap = False
    return made


def show_failures(out: Console, delivery: Json) -> None:
    """The last lines of each build that failed, and where all of them are; nothing where none did."""
    for build in delivery["builds"]:
        if build["state"] != "failed":
            continue
        out.print()
        out.print(cell(f"build {build['id']} of {build['name']} failed:", BAD))
        out.print(cell(build["error"]))
        out.print(cell(f"  nodewise builds {build['id']} --log", QUIET))


def show_rejected(out: Console, rejected: Sequence[Json]) -> None:
    """How many requests were turned away, hook by hook, and what to do about it; nothing where none was."""
    if not rejected:
        return
    out.print()
    out.print("turned away, and not kept (compare the secret at the provider with the hook's):", markup=False)
    now = time.time()
    for row in rejected:
        line = cell(f"{place(row)}: ", "bold")
        line.append(f"{row['count']} x {row['reason']}", WARN)
        line.append(f", the last {ago(row['last_at'], now)}", QUIET)
        out.print(line)


def _stands(delivery: Json) -> Text:
    """How it stands as a whole; what meant nothing has only its verdict."""
    if delivery["verdict"] != "accepted":
        return _verdict(delivery)
    return cell(delivery["state"], _STATES.get(delivery["state"], ""))


def _verdict(delivery: Json) -> Text:
    return cell(delivery["verdict"], _STYLES.get(delivery["verdict"], QUIET))


def _what(event: Json) -> str:
    """An image with its tag, a repository with its ref and commit, or the service that an alert is about."""
    data = event["data"]
    if "service" in data:
        return f"{data['service']}: {data['summary'] or data['fingerprint']}"
    if "ref" in data:
        return f"{data['repository']} {data['ref'].removeprefix('refs/')} {data['commit'][:12]}"
    digest = f" ({short_digest(data['digest'])})" if data["digest"] else ""
    return f"{data['repository']}:{data['tag']}{digest}"
