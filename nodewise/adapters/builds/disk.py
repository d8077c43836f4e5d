"""The disk of an engine that builds: what is taken off it, and how much of it is free. Decides nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from docker.errors import APIError

from nodewise.adapters.builds.engine import BuildEngine
from nodewise.adapters.docker_errors import read_error
from nodewise.adapters.managers import Client, get_json
from nodewise.domain.images import ImageName

_GONE, _IN_USE = 404, 409


def remove_image(engine: BuildEngine, name: ImageName) -> None:
    """Take *name* off its image; without a name left, the image goes. Gone already, or in use, is no error.

    Never by force: an engine then refuses, with 409, what a container uses or a child image is made of (Engine API,
    ImageDelete). Raises RetryLater.
    """

    def remove(client: Client) -> None:
        client._raise_for_status(client._delete(client._url("/images/{0}", str(name)), params={"force": "false"}))

    try:
        engine.ask(remove)
    except APIError as error:
        if error.status_code not in (_GONE, _IN_USE):
            raise read_error(error) from None


def free_space(engine: BuildEngine) -> int | None:
    """Bytes that are free where the engine keeps its images.

    None unless it listens on this machine and the folder that it names, ``DockerRootDir`` (Engine API, SystemInfo), is
    here as well: from within a container neither is said of the machine. Raises RetryLater.
    """
    if not engine.host.startswith(("unix://", "/")):
        return None
    try:
        root = Path(str(engine.ask(lambda c: get_json(c, "/info"))["DockerRootDir"]))
    except APIError as error:
        raise read_error(error) from None
    return shutil.disk_usage(root).free if root.is_dir() else None
