"""Who a container's command runs as, by number: volumes are root's when they are new, and images have users.

The names of users are the image's own, so they are looked up in its files; nothing of it is run for that.
"""

from __future__ import annotations

import tarfile
from contextlib import closing
from io import BytesIO

from docker.errors import APIError

from nodewise.adapters.builds.attending import Reporter
from nodewise.adapters.builds.engine import BuildEngine
from nodewise.adapters.builds.tars import Owner
from nodewise.adapters.managers import get_json

_MOST = 1024 * 1024  # bytes of such a file that are read


def owner_of(engine: BuildEngine, container: str, reporter: Reporter) -> Owner:
    """The user of a container that is not started yet: ``user[:group]`` in its image, each by name or number.

    Without one it is root, and so it is where the image does not know it: the engine then says so at the start.
    """
    said = engine.ask(lambda c: get_json(c, "/containers/{0}/json", container))["Config"].get("User") or ""
    user, _, group = said.partition(":")
    if user.isdigit() and group.isdigit():
        return Owner(int(user), int(group))
    if not user:
        return Owner()
    entry = _entry(_file(engine, container, "/etc/passwd", reporter), user)
    uid = int(user) if user.isdigit() else _number(entry, 2)
    if not group:
        return Owner(uid, _number(entry, 3))
    groups = _file(engine, container, "/etc/group", reporter)
    return Owner(uid, int(group) if group.isdigit() else _number(_entry(groups, group), 2))


def _entry(lines: str, who: str) -> list[str]:
    """The line of ``/etc/passwd`` or ``/etc/group`` of that name or number, taken apart."""
    known = [line.split(":") for line in lines.splitlines() if line.count(":") >= 2]
    return next((entry for entry in known if who in (entry[0], entry[2])), [])


def _number(entry: list[str], place: int) -> int:
    return int(entry[place]) if len(entry) > place and entry[place].isdigit() else 0


def _file(engine: BuildEngine, container: str, path: str, reporter: Reporter) -> str:
    content = bytearray()
    try:
        with closing(engine.archive(container, path, reporter)) as chunks:
            for chunk in chunks:
                content += chunk
                if len(content) > _MOST:
                    break
        with tarfile.open(fileobj=BytesIO(bytes(content))) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member is not None and member.isreg() else None
            return file.read().decode("utf-8", "replace") if file else ""
    except (APIError, tarfile.TarError):
        return ""
