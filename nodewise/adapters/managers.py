"""Connections to the swarm's managers: which one answers, and one client for each process and thread.

Knows nothing of what is asked. A question is a function of a docker APIClient; it is put to one manager
after the other until one answers. The manager that answered last is asked first the next time.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException
from docker.tls import TLSConfig

from nodewise.adapters.docker_errors import manages_nothing, words
from nodewise.domain.errors import RetryLater

T = TypeVar("T")
Client = Any  # docker.APIClient; its raw methods, the only ones used here, have no public types

UNREACHABLE = (requests.RequestException, DockerException, OSError)
_CONNECT_TIMEOUT = 3.0  # seconds


def connect(host: str, timeout: float, tls_dir: Path | None = None) -> Client:
    """A client for one engine. The API version is agreed with it, never pinned (SWARM.md).

    *timeout*: seconds to wait for an answer. *tls_dir* holds ca.pem, cert.pem and key.pem, and is used
    for ``tcp://`` only. Raises what the docker SDK raises.
    """
    tcp = not host.startswith(("unix://", "npipe://", "/"))
    limits: Any = (_CONNECT_TIMEOUT, timeout) if tcp else timeout
    tls = _tls(tls_dir) if tcp and tls_dir else False
    client: Client = docker.APIClient(base_url=host, version="auto", timeout=limits, tls=tls)
    client.timeout = (_CONNECT_TIMEOUT, timeout)
    client.trust_env = False  # an HTTP proxy is for the internet, not for one's own engines
    return client


def get_json(client: Client, path: str, *names: str, **params: Any) -> Any:
    """GET *path* (with *names* quoted into it) and decode the answer. ``filters`` are encoded."""
    if "filters" in params:
        params["filters"] = json.dumps(params["filters"])
    return client._result(client._get(client._url(path, *names), params=params), json=True)


class Managers:
    """The managers of one swarm, by address (``unix://`` or ``tcp://``)."""

    def __init__(
        self, hosts: Sequence[str], timeout: float, tls_dir: Path | None = None, what: str = "swarm manager"
    ) -> None:
        self._what = what
        self._hosts = tuple(hosts)
        self._timeout = timeout
        self._tls_dir = tls_dir
        self._first = 0
        self._local = threading.local()

    def ask(self, question: Callable[[Client], T]) -> T:
        """Put *question* to the managers in turn.

        Raises RetryLater, naming the hosts, when none answers. An engine's refusal of the question itself
        (APIError) is the caller's to translate. A question may be put twice: writes must be guarded by a
        version.
        """
        failures: list[str] = []
        cause: Exception | None = None
        for index in self._in_order():
            host = self._hosts[index]
            try:
                answer = question(self._client(host))
            except APIError as error:
                if not manages_nothing(error):
                    raise
                cause = error
            except UNREACHABLE as error:
                self._clients().pop(host, None)
                cause = error
            else:
                self._first = index
                return answer
            failures.append(f"{host}: {words(cause)}")
        reasons = "; ".join(failures) or "none is configured"
        raise RetryLater(f"no {self._what} answers: {reasons}") from cause

    def _in_order(self) -> Iterator[int]:
        count = len(self._hosts)
        return ((self._first + i) % count for i in range(count))

    def _client(self, host: str) -> Client:
        clients = self._clients()
        if host not in clients:
            clients[host] = connect(host, self._timeout, self._tls_dir)
        return clients[host]

    def _clients(self) -> dict[str, Client]:
        """This thread's clients. After a fork they are the parent's: two processes must not share a socket."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.pid = os.getpid()
            self._local.clients = {}
        clients: dict[str, Client] = self._local.clients
        return clients


def _tls(folder: Path) -> TLSConfig:
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    return TLSConfig(client_cert=pair, ca_cert=str(folder / "ca.pem"), verify=True)
