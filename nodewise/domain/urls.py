"""Addresses: as they may be told, and which of them name one repository.

A URL may carry a login in front of its host; nobody needs to read it.
"""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")


def without_login(text: str) -> str:
    """*text* with the login taken out of every URL in it."""
    return _LOGIN.sub("", text)


def same_repository(configured: str, pushed: str) -> bool:
    """Whether two addresses name one repository: scheme, user, a final ``.git`` and slash do not matter."""
    return essence(configured) == essence(pushed)


def essence(url: str) -> str:
    """What two addresses of one repository have in common: host and path, or the path of a local one."""
    name = spelled(url)
    return name if name.startswith("/") else name.lower()


def spelled(url: str) -> str:
    """Host and path in the case that they are written in."""
    text = url.strip().rstrip("/").removesuffix(".git")
    scheme, separator, rest = text.partition("://")
    if not separator:
        rest = text if text.startswith("/") else text.replace(":", "/", 1)
    return rest if rest.startswith("/") or scheme == "file" else rest.rpartition("@")[2]


def told_at(public_url: str, subject: str) -> str:
    """Where people read more about a rollout or a build; empty where nobody has said where they reach Nodewise."""
    kind = "builds" if subject.startswith("b-") else "rollouts"
    return f"{public_url}/api/v1/{kind}/{subject}" if public_url else ""
