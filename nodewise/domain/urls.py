"""Addresses as they may be told. A URL may carry a login in front of its host; nobody needs to read it."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")


def without_login(text: str) -> str:
    """*text* with the login taken out of every URL in it."""
    return _LOGIN.sub("", text)
