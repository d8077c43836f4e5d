"""Gates: checks that must hold on a node before its step counts as passed.

One file a gate, and the folder is the registry: a module ``NAME.py`` with a function ``read`` is the gate
``NAME``; one whose name begins with ``_`` is what several of them use. A gate reads and reports; what
follows from it is decided elsewhere.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from nodewise.domain.errors import GiveUp
from nodewise.domain.steps import GatePlan, Place, Reading
from nodewise.ports import ReadGate

__all__ = ["gate", "read"]


def read(plan: GatePlan, place: Place) -> Reading:
    """One reading of one gate at one place. Never raises for what it finds there: that is the reading."""
    return gate(plan.name)(plan, place)


@cache
def gate(name: str) -> ReadGate:
    """The gate of that name. Raises GiveUp when there is none."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise GiveUp(f"there is no gate {name!r}", "see docs/labels.md for the gates there are") from error
    found: ReadGate = module.read
    return found
