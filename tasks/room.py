"""Room for a build: whether there is enough space for a checkout and an image, before either is begun."""

from __future__ import annotations

import shutil

from nodewise.bootstrap import Deps
from nodewise.domain.errors import RetryLater
from tasks.clean import CLEAN

AGAIN = 10.0  # seconds until it is looked at again: cleaning may have made room


def check_room(deps: Deps, host: str) -> None:
    """Raises RetryLater where the data folder, or the engine at *host*, has too little space; has images removed then.

    An engine that cannot tell has enough.
    """
    need = deps.settings.build_min_free
    if not need:
        return
    places = {
        f"the data folder {deps.settings.data_dir}": shutil.disk_usage(deps.settings.data_dir).free,
        f"the engine {host}": deps.builders[host].space(),
    }
    for place, free in places.items():
        if free is not None and free < need:
            _ask_for_room(deps)
            what = f"{place} has {_size(free)} free, a build needs {_size(need)}"
            raise RetryLater(what, "set 'keep' for builds, or free it by hand: docs/cleaning.md", delay=AGAIN)


def _ask_for_room(deps: Deps) -> None:
    if deps.settings.cleans:
        deps.store.put_jobs([CLEAN], deps.clock.now())


def _size(count: int) -> str:
    """Bytes, for people."""
    unit, name = (2**30, "GiB") if count >= 2**30 else (2**20, "MiB")
    return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"
