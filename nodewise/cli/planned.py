"""How a plan that is only shown looks: a few words before each part. Pure: JSON in, Rich's values out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodewise.cli.view import from_to
from nodewise.cli.words import CHORE_NAMES, GOOD, QUIET, WARN, count, duration, printable
from nodewise.client import Json

Line = tuple[str, Text]
_STRATEGIES = {
    "rolling": "one update of the service, watched node by node; the order of the nodes is Swarm's",
    "staged": "candidates first, stage by stage; then the service itself is updated",
    "cells": "the app's services in order, each as rolling does it",
}
_APPROVALS = {
    "once": "once, before the new release takes over",
    "each": "after every stage, and before the new release takes over",
}
_NANOSECONDS = ("UpdateConfig.Delay", "UpdateConfig.Monitor")


def picture(plan: Json, ascii_only: bool = False) -> RenderableType:
    """Everything that a deploy would do."""
    head = Text(printable(plan["service"]), style="bold")
    head.append_text(from_to(plan["from_image"], plan["to_image"], ascii_only))
    head.append(f"  release {plan['from_release']} {'->' if ascii_only else '→'} {plan['to_release']}", style=QUIET)
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column("part", no_wrap=True, style=QUIET)
    made.add_column("words", overflow="fold")
    for part, words in lines(plan, ascii_only):
        made.add_row(part, words)
    return Padding(Group(head, Text(), made), (1, 1, 1, 1))


def lines(plan: Json, ascii_only: bool = False) -> Iterator[Line]:
    """Part and words, in the order in which things would happen."""
    yield from _in_the_way(plan["in_the_way"])
    if plan["already"]:
        yield "to do", Text(printable(f"nothing: {plan['already']}"), style=GOOD)
        return
    yield "strategy", Text(f"{plan['strategy']}: {_STRATEGIES.get(plan['strategy'], '')}")
    yield from _app(plan, ascii_only)
    for chore in plan["chores"]:
        if chore["name"] != "after":
            yield CHORE_NAMES.get(chore["name"], chore["name"]), _chore(chore)
    yield from _nodes(plan)
    for name, gates in (("gate", plan["gates"]), ("on candidates", plan["candidate_gates"])):
        for gate in gates:
            yield name, _gate(gate)
    if plan["approval"]:
        yield "approval", Text(f"{_APPROVALS.get(plan['approval'], '')}, within {duration(plan['approval_deadline'])}")
    for chore in plan["chores"]:
        if chore["name"] == "after":
            yield "hook.after", _chore(chore)
    yield "times", Text(_times(plan))
    yield "on failure", Text(plan["on_failure"])
    for note in plan["notes"]:
        yield "note", Text(printable(note))
    for change in plan["changes"]:
        yield "change", _change(change, ascii_only)


def _in_the_way(obstacles: list[Json]) -> Iterator[Line]:
    for found in obstacles:
        until = f" until {time.strftime('%Y-%m-%d %H:%M', time.localtime(found['until']))}" if found["until"] else ""
        whom = "" if found["stops"] == "everybody" else " (stops events, not a deploy by hand)"
        yield "in the way", Text(printable(f"{found['reason']}{until}{whom}"), style=WARN)


def _app(plan: Json, ascii_only: bool) -> Iterator[Line]:
    if not plan["app"]:
        return
    yield "app", Text(printable(f"{plan['app']}: {plan['service']} is in stage {plan['stage'] + 1}"))
    for member in plan["others"]:
        text = Text(printable(f"stage {member['stage'] + 1}  {member['service']}"))
        if member["refused"]:
            text.append(printable(f"  refused: {member['refused']}"), style=WARN)
        else:
            text.append_text(from_to(member["from_image"], member["to_image"], ascii_only))
            text.append(printable(f"  on {', '.join(member['nodes']) or 'no node'}"), style=QUIET)
        for found in member["in_the_way"]:
            text.append(printable(f"\n{found['reason']}"), style=WARN)
        yield "also", text


def _nodes(plan: Json) -> Iterator[Line]:
    staged = len(plan["stages"]) > 1 or plan["rest"]
    for number, nodes in enumerate(plan["stages"], 1):
        for node in nodes:
            yield f"stage {number}" if staged else "node", _node(node)
    for node in plan["rest"]:
        yield "at the end", _node(node)


def _node(node: Json) -> Text:
    text = Text(printable(node["node"]))
    text.append(f"  {count(node['tasks'], 'task')} of {printable(', '.join(node['tags']))}", style=QUIET)
    return text


def _chore(chore: Json) -> Text:
    if chore["program"]:
        return Text(printable(f"runs {chore['program']} once, in the new image"))
    where = f"on {', '.join(chore['nodes'])}"
    need = f"{chore['need'] / 2**30:.1f} GiB must be free " if chore["need"] else ""
    return Text(printable(need + where))


def _gate(gate: Json) -> Text:
    text = Text(gate["name"])
    if gate["interval"]:
        rule = (
            f"  every {duration(gate['interval'])}, {gate['successes']} good in a row pass, {gate['failures']} bad veto"
        )
        text.append(rule, style=QUIET)
    for key, value in gate["config"].items():
        text.append(printable(f"  {key} {value}"), style=QUIET)
    return text


def _times(plan: Json) -> str:
    given = [("bake", plan["bake"]), ("deadline", plan["deadline"]), ("watch", plan["watch"])]
    return ", ".join(f"{name} {duration(seconds)}" for name, seconds in given if seconds)


def _change(change: Json, ascii_only: bool) -> Text:
    old, new = (_value(change["path"], change[side]) for side in ("old", "new"))
    text = Text(change["path"])
    text.append(f"  {old} {'->' if ascii_only else '→'} ", style=QUIET)
    text.append(new)
    return text


def _value(path: str, value: Any) -> str:
    if value is None:
        return "(none)"
    if path in _NANOSECONDS and isinstance(value, int):
        return f"{value / 1e9:g} s"
    if isinstance(value, list):
        return ", ".join("/".join(map(str, v.values())) if isinstance(v, dict) else str(v) for v in value) or "(none)"
    return printable(str(value))
