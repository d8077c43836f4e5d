"""One GET, whole within a time, at most so many bytes of it, and no redirect followed. Judges nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NameResolutionError, ProtocolError

from nodewise.gates._asking import Connections, within

_HEADERS = {"User-Agent": "nodewise-gate", "Connection": "close", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is cut off at the limit; ``seconds`` is how long it took until the last of it was read."""

    status: int
    body: bytes
    seconds: float


class NoAnswer(Exception):
    """No answer, or none that was whole in time. ``reached``: whether it had begun."""

    def __init__(self, reason: str, reached: bool) -> None:
        super().__init__(reason)
        self.reached = reached


def get(url: str, timeout: float, limit: int = 0, params: Mapping[str, str] | None = None) -> Answer:
    """Ask once. With *limit* 0 the body is not waited for. Raises NoAnswer and nothing else."""
    begun: list[int] = []
    try:
        return within(timeout, lambda opened: _get(url, timeout, limit, params, begun, opened))
    except (TimeoutError, requests.Timeout) as error:
        late = f"{begun[0]}, but not whole within {timeout:g} s" if begun else f"no answer within {timeout:g} s"
        raise NoAnswer(late, bool(begun)) from error
    except requests.exceptions.SSLError as error:
        raise NoAnswer("no trust in its certificate, or no TLS there", reached=True) from error
    except (requests.RequestException, OSError, ValueError) as error:  # ValueError: what a host name cannot be
        raise NoAnswer(f"{begun[0]}, but broken off" if begun else _short(error), bool(begun)) from error


def _get(
    url: str, timeout: float, limit: int, params: Mapping[str, str] | None, begun: list[int], opened: Connections
) -> Answer:
    started = time.monotonic()
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(opened))
        with session.get(
            url, params=params, timeout=timeout, allow_redirects=False, stream=True, headers=_HEADERS
        ) as answer:
            if not opened.over:
                begun.append(answer.status_code)
            body = _body(answer, limit)
    return Answer(answer.status_code, body, time.monotonic() - started)


def _body(answer: requests.Response, limit: int) -> bytes:
    body = bytearray()
    chunks = answer.iter_content(8192)
    while len(body) < limit and (chunk := next(chunks, b"")):
        body += chunk
    return bytes(body[:limit])


def _short(error: Exception) -> str:
    if not isinstance(error, requests.ConnectionError):
        return f"no usable answer ({type(error).__name__})"
    cause = error.args[0] if error.args else None
    if isinstance(getattr(cause, "reason", None), NameResolutionError):
        return "no host of that name"
    return "the connection ended without an answer" if isinstance(cause, ProtocolError) else "no connection"


class _Adapter(HTTPAdapter):
    """Tells every connection that it opens, so that it can be cut while even the headers are awaited."""

    def __init__(self, opened: Connections) -> None:
        self._opened = opened
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        opened, plain = self._opened, pool.ConnectionCls

        class Watched(plain):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                opened.add(self.sock)

        pool.ConnectionCls = Watched
        return pool
