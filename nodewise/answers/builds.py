"""Checks for ``nodewise doctor``: the engines that build, and the files that builds are given."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nodewise.answers.checks import Check
from nodewise.bootstrap import Deps
from nodewise.config.builds import BuildConfig
from nodewise.domain.errors import NodewiseError


def check_builds(deps: Deps) -> Iterator[Check]:
    """Each engine answers, each file can be read, and git has what is asked of it; nothing where nothing is built."""
    builds = deps.settings.builds
    if not builds:
        return
    for host, builder in deps.builders.items():
        try:
            builder.ping()
        except NodewiseError as error:
            yield Check("builder", False, error.what, "check NODEWISE_BUILD_HOST, and whether Docker runs there")
        else:
            yield Check("builder", True, f"{host} answers")
    for name, config in builds.items():
        for key, path in _files(config):
            if not os.access(path, os.R_OK):
                yield Check("builds", False, f"builds.{name}.{key}: {path} cannot be read", "as the worker's user")
    lfs = sorted(name for name, config in builds.items() if config.lfs)
    if lfs and not shutil.which("git-lfs"):
        yield Check("builds", False, f"{', '.join(lfs)}: git-lfs is not there", "install it where the worker runs")


def _files(config: BuildConfig) -> Iterator[tuple[str, Path]]:
    for key in ("key_file", "known_hosts_file", "token_file"):
        if path := getattr(config.access, key):
            yield f"access.{key}", path
    for name, path in config.secrets.items():
        yield f"secrets.{name}", path
