"""The API's client: what the command line, and whoever likes Python better than HTTP, asks Nodewise with.

Answers are plain JSON values, as the OpenAPI document describes them. Problem details come back as the errors
of ``nodewise.domain.errors``. Knows neither the store nor the swarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import requests

from nodewise.domain.errors import Conflict, Forbidden, GiveUp, NodewiseError, NotFound, RetryLater, UserError
from nodewise.streaming import Event, events, repeatedly

Json = dict[str, Any]

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 60.0
STREAM_TIMEOUT = 15.0  # three keep-alives that did not come
_ERRORS: dict[int, type[UserError]] = {401: Forbidden, 403: Forbidden, 404: NotFound, 409: Conflict}


class Nodewise(Protocol):
    """What can be asked of Nodewise, over HTTP or on the store itself. Raises NodewiseError."""

    def services(self) -> list[Json]: ...
    def service(self, name: str) -> Json: ...
    def releases(self, service: str, limit: int) -> list[Json]: ...
    def rollouts(self, service: str | None, limit: int) -> list[Json]: ...
    def rollout(self, rollout_id: str) -> Json: ...
    def follow(self, rollout_id: str) -> Iterator[Json | None]:
        """Each state of a rollout until it has ended; None now and then when nothing changed."""

    def deliveries(self, limit: int, provider: str = "", hook: str = "", verdict: str = "", state: str = "") -> Json:
        """Deliveries, of one provider, hook, verdict or state where given, and the counts of what was turned away."""

    def delivery(self, delivery_id: str) -> Json: ...
    def builds(self, limit: int) -> list[Json]: ...
    def build(self, build_id: str) -> Json: ...
    def build_log(self, build_id: str, after: int) -> tuple[str, int]: ...
    def follow_build(self, build_id: str) -> Iterator[Json | None]:
        """What is new of a build until it has ended: its log from the beginning, its state at every change.

        ``{"event": "log", "seq": 3, "text": "..."}`` or ``{"event": "build", "build": {...}}``; None now and then
        when there is nothing.
        """

    def nodes(self) -> list[Json]: ...
    def deploy(self, service: str, image: str) -> Json: ...
    def rollback(self, service: str, to: int | None) -> Json: ...
    def replay(self, delivery_id: str) -> Json: ...
    def plan(self, service: str, image: str) -> Json: ...
    def pause(self, rollout_id: str) -> Json: ...
    def resume(self, rollout_id: str) -> Json: ...
    def abort(self, rollout_id: str) -> Json: ...
    def approve(self, rollout_id: str, digest: str) -> Json: ...
    def lock(self, service: str, reason: str) -> Json: ...
    def unlock(self, service: str) -> Json: ...


class ApiClient:
    """``Nodewise`` over HTTP. *url*: scheme, host and port; *token*: ``nw_...``, or empty."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.auth = _keep_header  # otherwise requests would put a .netrc entry in the token's place

    def services(self) -> list[Json]:
        return self._items("services")

    def service(self, name: str) -> Json:
        return self._get(f"services/{_part(name)}")

    def releases(self, service: str, limit: int) -> list[Json]:
        found: list[Json] = self._get(f"services/{_part(service)}/releases", limit=limit)["releases"]
        return found

    def rollouts(self, service: str | None, limit: int) -> list[Json]:
        return self._items("rollouts", service=service, limit=limit)

    def rollout(self, rollout_id: str) -> Json:
        return self._get(f"rollouts/{_part(rollout_id)}")

    def deliveries(self, limit: int, provider: str = "", hook: str = "", verdict: str = "", state: str = "") -> Json:
        wanted = {"provider": provider, "hook": hook, "verdict": verdict, "state": state}
        return self._get("deliveries", limit=limit, **{k: v for k, v in wanted.items() if v})

    def delivery(self, delivery_id: str) -> Json:
        return self._get(f"deliveries/{_part(delivery_id)}")

    def builds(self, limit: int) -> list[Json]:
        return self._items("builds", limit=limit)

    def build(self, build_id: str) -> Json:
        return self._get(f"builds/{_part(build_id)}")

    def build_log(self, build_id: str, after: int) -> tuple[str, int]:
        answer = self._ask("GET", f"builds/{_part(build_id)}/log", params={"after": after})
        return answer.text, int(answer.headers.get("Nodewise-Log-Next", after))

    def nodes(self) -> list[Json]:
        return self._items("nodes")

    def deploy(self, service: str, image: str) -> Json:
        return self._post(f"services/{_part(service)}/deploy", {"image": image})

    def rollback(self, service: str, to: int | None) -> Json:
        return self._post(f"services/{_part(service)}/rollback", {"to": to})

    def replay(self, delivery_id: str) -> Json:
        return self._post(f"deliveries/{_part(delivery_id)}/replay", {})

    def plan(self, service: str, image: str) -> Json:
        return self._post(f"services/{_part(service)}/plan", {"image": image})

    def pause(self, rollout_id: str) -> Json:
        return self._post(f"rollouts/{_part(rollout_id)}/pause", {})

    def resume(self, rollout_id: str) -> Json:
        return self._post(f"rollouts/{_part(rollout_id)}/resume", {})

    def abort(self, rollout_id: str) -> Json:
        return self._post(f"rollouts/{_part(rollout_id)}/abort", {})

    def approve(self, rollout_id: str, digest: str) -> Json:
        return self._post(f"rollouts/{_part(rollout_id)}/approve", {"digest": digest})

    def lock(self, service: str, reason: str) -> Json:
        return self._json(self._ask("PUT", f"services/{_part(service)}/lock", json={"reason": reason}))

    def unlock(self, service: str) -> Json:
        return self._json(self._ask("DELETE", f"services/{_part(service)}/lock"))

    def follow(self, rollout_id: str) -> Iterator[Json | None]:
        """By stream; by asking again and again where there is none, or it broke off."""
        last: Json = self.rollout(rollout_id)
        yield last
        try:
            for event in self._stream(f"rollouts/{_part(rollout_id)}/stream"):
                state = None if event is None else json.loads(event.data)
                last = state or last
                yield state
        except RetryLater:
            pass
        if last["ended"]:
            return
        for state in repeatedly(lambda: self.rollout(rollout_id)):
            yield state
            if state is not None and state["ended"]:
                return

    def follow_build(self, build_id: str) -> Iterator[Json | None]:
        """By stream; by asking again and again where there is none, or it broke off."""
        place = _Place()
        try:
            for event in self._stream(f"builds/{_part(build_id)}/stream"):
                yield None if event is None else place.reached(_news(event))
        except RetryLater:
            pass
        if place.ended():
            return
        # The build is asked for first: what it printed before its end must not be missed.
        for found in repeatedly(lambda: (self.build(build_id), self.build_log(build_id, place.after))):
            yield from (None,) if found is None else place.new(*found) or (None,)
            if place.ended():
                return

    def _stream(self, path: str) -> Iterator[Event | None]:
        """Raises RetryLater where there is none, and when it breaks off."""
        with self._ask("GET", path, stream=True, timeout=(CONNECT_TIMEOUT, STREAM_TIMEOUT)) as answer:
            if not answer.raw.chunked:
                return  # something in between gives it out in one piece at the end
            try:
                yield from events(answer.iter_lines(chunk_size=None))
            except requests.RequestException as error:
                raise RetryLater(f"the stream of {path} broke off") from error

    def _items(self, path: str, **params: Any) -> list[Json]:
        found: list[Json] = self._get(path, **params)[path]
        return found

    def _get(self, path: str, **params: Any) -> Json:
        return self._json(self._ask("GET", path, params={k: v for k, v in params.items() if v is not None}))

    def _post(self, path: str, body: Json) -> Json:
        return self._json(self._ask("POST", path, json=body))

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (CONNECT_TIMEOUT, READ_TIMEOUT))
        try:
            answer = self._session.request(method, f"{self._url}/api/v1/{path}", allow_redirects=False, **options)
        except requests.exceptions.ReadTimeout as error:
            raise RetryLater(f"{self._url} did not answer in time", "ask again; see 'nodewise doctor'") from error
        except requests.ConnectionError as error:
            raise RetryLater(
                f"no Nodewise answers at {self._url}", "start it with 'nodewise up', or use --local"
            ) from error
        except requests.RequestException as error:
            raise GiveUp(f"{self._url} cannot be asked: {error}", "check NODEWISE_URL") from error
        if answer.ok and not answer.is_redirect:
            return answer
        raise _error(self._url, answer)

    def _json(self, answer: requests.Response) -> Json:
        try:
            found: Json = answer.json()
        except ValueError as error:
            raise _not_nodewise(self._url, answer) from error
        return found


@dataclass
class _Place:
    """How far a build has been followed."""

    build: Json | None = None
    after: int = 0

    def ended(self) -> bool:
        return self.build is not None and bool(self.build["ended"])

    def reached(self, news: Json) -> Json:
        if news["event"] == "log":
            self.after = news["seq"]
        else:
            self.build = news["build"]
        return news

    def new(self, build: Json, log: tuple[str, int]) -> list[Json]:
        """What of an answer was not there before, the log first."""
        text, last = log
        pieces: list[Json] = [{"event": "log", "seq": last, "text": text}] if text else []
        states: list[Json] = [{"event": "build", "build": build}] if build != self.build else []
        return [self.reached(news) for news in (*pieces, *states)]


def _news(event: Event) -> Json:
    data = json.loads(event.data)
    if event.name == "log":
        return {"event": "log", "seq": int(event.id), "text": data["text"]}
    return {"event": "build", "build": data}


def _part(name: str) -> str:
    """A name as one part of a path. Refused: what a URL would resolve away."""
    if name in ("", ".", ".."):
        raise UserError(f"{name!r} is no name")
    return quote(name, safe="")


def _keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _error(url: str, answer: requests.Response) -> NodewiseError:
    """The error that a problem stands for."""
    try:
        body = answer.json()
        detail, hint = str(body["detail"]), str(body.get("hint") or "")
    except (ValueError, KeyError, TypeError):
        return _not_nodewise(url, answer)
    if answer.status_code == 401:
        hint = "set NODEWISE_TOKEN; 'nodewise token create NAME --scope deploy' makes one on Nodewise's machine"
    if answer.status_code == 503:
        return RetryLater(detail, hint, float(answer.headers.get("Retry-After", 1)))
    if answer.status_code >= 500:
        return GiveUp(detail, hint)
    return _ERRORS.get(answer.status_code, UserError)(detail, hint, str(body.get("field") or ""))


def _not_nodewise(url: str, answer: requests.Response) -> GiveUp:
    return GiveUp(f"{url} answers, but not like Nodewise (HTTP {answer.status_code})", "check NODEWISE_URL")
