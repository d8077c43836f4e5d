"""Git servers, told over their APIs: sends what ``nodewise.statuses`` makes. No redirects, and not for long.

What does not answer, or asks to be left alone for a while, is tried again later; what refuses is not.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from nodewise import statuses
from nodewise.config.telling import StatusConfig
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.told import Told
from nodewise.domain.urls import essence, spelled, told_at

TIMEOUT = (5.0, 10.0)  # seconds: to connect, and between two pieces of the answer
LONGEST = 3600.0  # seconds that a server may ask to be left alone
LIMITED = 60.0  # seconds, where it does not say how long


class StatusChannel:
    """``ports.Channel`` for one entry of ``statuses``."""

    def __init__(self, name: str, config: StatusConfig, public_url: str) -> None:
        self._name = name
        self._config = config
        self._public_url = public_url
        self._patterns = [essence(pattern) for pattern in config.repositories]

    @property
    def name(self) -> str:
        """``statuses.NAME``."""
        return self._name

    def wants(self, told: Told) -> bool:
        """Whether it is about a commit of a repository that is there."""
        if told.commit is None:
            return False
        repository = essence(told.commit.repository)
        return any(fnmatchcase(repository, pattern) for pattern in self._patterns)

    def tell(self, told: Told, kept: str) -> str:
        """One request. Returns what its answer says is to be kept, where another one follows."""
        call = statuses.kind(self._config.kind).call(self._target(told), told, kept)
        answer = self._send(call)
        if call.keep and call.keep not in answer:
            raise GiveUp(f"{self._name}: {self._host} made something and did not say its {call.keep}")
        return str(answer[call.keep]) if call.keep else ""

    def _target(self, told: Told) -> statuses.Target:
        assert told.commit is not None
        config = self._config
        return statuses.Target(
            api=config.url,
            repository=spelled(told.commit.repository).partition("/")[2],
            commit=quote(told.commit.id, safe=""),
            context=f"{config.context}/{'build/' if told.of_build else ''}{told.service}",
            link=told_at(self._public_url, told.subject),
            token=config.secret(),
        )

    def _send(self, call: statuses.Call) -> dict[str, Any]:
        try:
            answer = requests.post(
                call.url,
                json=call.json,
                headers={"User-Agent": "nodewise", **call.headers},
                timeout=TIMEOUT,
                allow_redirects=False,
                auth=_as_it_is,
            )
            return self._read(call, answer)
        except requests.RequestException as error:
            raise RetryLater(f"{self._name}: {self._host} does not answer ({type(error).__name__})") from None

    def _read(self, call: statuses.Call, answer: requests.Response) -> dict[str, Any]:
        status = answer.status_code
        if status < 300:
            return dict(answer.json()) if call.keep else {}
        if status == 400 and call.fine and call.fine in answer.text:
            return {}
        said = f"{self._name}: {self._host} answered {status} to POST {urlsplit(call.url).path}"
        if status == 429 or status >= 500 or _is_limited(answer):
            raise RetryLater(said, delay=_delay(answer))
        raise GiveUp(said, "check the token and its rights, the repository and the API's address")

    @property
    def _host(self) -> str:
        return urlsplit(self._config.url).netloc


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without an ``auth``, requests would put a login from ~/.netrc in the token's place."""
    return request


def _is_limited(answer: requests.Response) -> bool:
    """GitHub says 403 where it is asked too often."""
    headers = answer.headers
    return answer.status_code == 403 and ("Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0")


def _delay(answer: requests.Response) -> float:
    """Seconds until it may be asked again, as far as it says so in seconds."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdigit():
        return min(LONGEST, float(asked))
    return LIMITED if answer.status_code in (403, 429) else 1.0
