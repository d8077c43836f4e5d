"""How a registry asks for a login, and where a token is to be had: ``WWW-Authenticate``. Sends nothing itself.

The token flow is that of CNCF Distribution (docs: spec/auth/token).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from requests.utils import parse_dict_header

SHORTEST = 60.0  # seconds that a token is good for where nothing is said, by that specification


@dataclass(frozen=True, slots=True)
class Challenge:
    """``scheme`` is ``basic`` or ``bearer``; the rest is said by the latter."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""

    @classmethod
    def parse(cls, header: str) -> Challenge | None:
        """The challenge of *header*; None where it is none of the two that registries use."""
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() not in ("basic", "bearer"):
            return None
        given = parse_dict_header(rest)
        said = {key.lower(): value or "" for key, value in given.items()}
        return cls(scheme.lower(), *(said.get(key, "") for key in ("realm", "service", "scope")))

    def url(self, path: str, action: str = "pull") -> str:
        """Where a token is to be had that allows *action* in the repository *path*, or what the registry has named.

        Without a *path* it shows who one is, and no more.
        """
        asked = {"service": self.service, "scope": self.scope or (f"repository:{path}:{action}" if path else "")}
        query = urlencode({key: value for key, value in asked.items() if value})
        return f"{self.realm}{'&' if '?' in self.realm else '?'}{query}"


def basic(login: Mapping[str, str]) -> str:
    """The value of an ``Authorization`` header for a user and a password."""
    pair = f"{login.get('username', '')}:{login.get('password', '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def token(body: bytes) -> tuple[str, float]:
    """The token of a token server's answer, and for how many seconds it is good. Raises ValueError."""
    said = json.loads(body)
    found = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise ValueError("no token")
    seconds = said.get("expires_in")
    return found, float(seconds) if isinstance(seconds, int | float) and seconds > 0 else SHORTEST
