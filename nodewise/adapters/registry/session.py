"""One request to a registry or to its token server, whole within a time and of a bounded size. Judges no status.

A login goes to whom it is meant for: no redirect takes it to another host, and ``.netrc`` has no say.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import parse_header_links

from nodewise import __version__
from nodewise.adapters.docker_errors import words
from nodewise.domain.errors import RetryLater, UserError
from nodewise.domain.images import HUB

LARGEST = 4 * 1024 * 1024  # bytes of an answer
PIECE = 65536
_HUB_URL = "https://registry-1.docker.io"
_CONNECT_TIMEOUT = 3.05  # seconds
_HTTP_HINT = "where it speaks plain http, say so: its 'address' under 'registries:' in nodewise.yaml"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said. ``url``: by whom in the end, after redirects."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def links(self) -> Mapping[str, Any]:
        """The header ``Link``, by relation."""
        return {link.get("rel", ""): link for link in parse_header_links(self.headers.get("Link", ""))}


class RegistrySession(requests.Session):
    """*proxied*: whether the proxies of the environment are asked; they are for the internet."""

    def __init__(self, proxied: bool) -> None:
        super().__init__()
        self.max_redirects = 3
        self.trust_env = proxied
        self.auth = lambda request: request
        self.headers.update({"User-Agent": f"nodewise/{__version__}", "Accept-Encoding": "identity"})

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        """Another host gets no login."""
        if origin(response.request.url) != origin(prepared_request.url):
            prepared_request.headers.pop("Authorization", None)

    def fetch(
        self,
        whom: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        body: bytes = b"",
    ) -> Answer:
        """Ask once. *whom*: how errors name it. Raises RetryLater, and UserError where it cannot be spoken to.

        Only reading follows redirects: a DELETE would come out of them as a GET, and look done (requests,
        sessions.py: rebuild_method).
        """
        limits = (min(_CONNECT_TIMEOUT, timeout), timeout)
        follow = method in ("GET", "HEAD")
        try:
            with self.request(
                method, url, headers=headers, data=body or None, timeout=limits, allow_redirects=follow, stream=True
            ) as answer:
                return Answer(answer.status_code, answer.url, answer.headers, _body(answer, whom, timeout))
        except requests.exceptions.SSLError as error:
            raise UserError(f"{whom} is not to be trusted, or speaks no TLS: {words(error)}", _HTTP_HINT) from error
        except (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError) as error:
            raise RetryLater(f"{whom} did not answer within {timeout:g} s", delay=5.0) from error
        except (requests.ConnectionError, OSError, urllib3.exceptions.HTTPError, ValueError) as error:
            why = words(error) if isinstance(error, requests.ConnectionError) else type(error).__name__
            raise RetryLater(f"{whom} does not answer: {why}", delay=5.0) from error


def _body(answer: requests.Response, whom: str, seconds: float) -> bytes:
    """All of it. A timeout of a socket is for one read, so who sends a byte a second is told by the clock."""
    until, body = time.monotonic() + seconds, bytearray()
    while piece := answer.raw.read1(PIECE):
        body += piece
        if len(body) > LARGEST:
            raise UserError(f"{whom} answers with more than {LARGEST // 2**20} MiB")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(body)


def url_of(registry: str) -> str:
    """Where a registry of that name is asked: by plain http only on this very machine, as engines do it."""
    if registry == HUB:
        return _HUB_URL
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    return f"{'http' if own else 'https'}://{registry}"


def origin(url: str) -> str:
    """Scheme and host: who it is that answers."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
