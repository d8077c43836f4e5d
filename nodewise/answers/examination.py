"""What ``nodewise doctor`` looks at, side by side: whatever is away costs its own time and nobody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from nodewise.answers import callers, checks, managers, setup
from nodewise.answers.builds import check_builds
from nodewise.answers.checks import Check
from nodewise.answers.reach import check_web
from nodewise.answers.registries import check_registries
from nodewise.answers.secrets import check_secrets
from nodewise.answers.side_by_side import Look, side_by_side
from nodewise.bootstrap import Deps
from nodewise.config.hooks import HookConfig
from nodewise.ports import Manager

PATIENCE = 20.0  # seconds for everything


def examine(deps: Deps, url: str, hosts: Mapping[str, Manager], own_token: tuple[str, Path]) -> Iterator[Check]:
    """*url*: the web process; *hosts*: each manager by itself; *own_token*: how this machine's tokens are called, and
    where one is.
    """
    settings = deps.settings
    yield setup.check_settings(settings)
    looks: dict[str, Look] = {
        "store": lambda: _store(deps, own_token),
        "secrets": lambda: check_secrets(settings),
        "web": lambda: check_web(url, settings.hooks),
        "outside": lambda: _outside(settings.public_url.rstrip("/"), url, settings.hooks),
        "swarm": lambda: _swarm(deps, hosts),
        "builds": lambda: check_builds(deps),
    }
    yield from side_by_side(looks, PATIENCE)


def _store(deps: Deps, own_token: tuple[str, Path]) -> Iterator[Check]:
    """A store that is away says nothing of what is in it."""
    store = setup.check_schema(deps)
    yield store
    if store.ok:
        yield checks.check_worker(deps)
        yield checks.check_outbox(deps)
        yield from callers.check_tokens(deps, *own_token)
        yield from callers.check_rejected(deps)


def _outside(public_url: str, url: str, hooks: Mapping[str, HookConfig]) -> Iterable[Check]:
    """The address that providers are given, from here: what it cannot show is whether their network gets there."""
    return check_web(public_url, hooks) if public_url and public_url != url else ()


def _swarm(deps: Deps, hosts: Mapping[str, Manager]) -> Iterator[Check]:
    """With every manager away there is nobody to ask about services; registries are asked all the same."""
    looks: dict[str, Look] = {h: partial(managers.check_manager, deps, h, m) for h, m in hosts.items()}
    found = [_manager(check) for check in side_by_side(looks, PATIENCE / 2)]
    yield from found
    images: list[str] = []
    if not hosts or any(check.name == "manager" and check.ok for check in found):
        yield checks.check_swarm(deps)
        yield from setup.check_services(deps)
        images = setup.followed_images(deps)
    yield from check_registries(deps, images)


def _manager(check: Check) -> Check:
    """One that did not answer in time is named by its host."""
    if check.name in ("manager", "clock"):
        return check
    return Check("manager", check.ok, f"{check.name}: {check.detail}", check.hint)
