"""Strategies: how a rollout is cut into steps. One pure file each; the folder is the registry."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from nodewise.domain.errors import UserError


def strategy(name: str) -> ModuleType:
    """The strategy of that name: a module with ``plan(spec, tasks, nodes, gates, bake) -> Cut``."""
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        raise UserError(f"there is no strategy {name!r}", "use rolling", field="nodewise.strategy") from error
