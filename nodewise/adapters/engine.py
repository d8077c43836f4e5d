"""The swarm through the Engine API: ``nodewise.ports.Engine`` on the docker SDK's raw requests.

What Swarm does (shown by tests/contract/test_engine.py): every write wipes UpdateStatus and overwrites
PreviousSpec. An automatic rollback empties PreviousSpec and gives its reason in the message of
``rollback_started`` only; a person's swaps the two specs and is "manually requested rollback" there. Both end
as "rollback completed".

Specs go through untouched: what is read is what is written, but for what the caller changed. The SDK's own
``update_service`` is not used because it drops and resets fields. Refuses to know what a rollout is.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from docker.errors import APIError

from nodewise.adapters.credentials import RegistryAuth, auth_headers
from nodewise.adapters.docker_errors import create_error, read_error, resolve_error, update_error, words
from nodewise.adapters.managers import Client, Managers, get_json
from nodewise.adapters.streams import records
from nodewise.adapters.together import Together
from nodewise.adapters.views import demultiplexed, node_view, resolved_image, service_view, task_view
from nodewise.domain.errors import RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, Spec, TaskView

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_EVENTS = {"scope": ["swarm"], "type": ["service", "node", "network", "secret", "config"]}
_LOG_TIMEOUT = 3.0  # seconds; a manager waits for ever for the logs of a node that is down
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class SwarmEngine:
    """The swarm, through any of its managers.

    *hosts*: ``unix://`` or ``tcp://`` addresses of managers. *registry_auth*: registry name to credentials.
    *timeout*: seconds to wait for one manager's answer. *tls_dir*: ca.pem, cert.pem, key.pem for tcp.
    Raises only the errors of ``nodewise.domain.errors``. May be shared by threads and survives a fork.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        registry_auth: RegistryAuth,
        timeout: float = 10.0,
        tls_dir: Path | None = None,
    ) -> None:
        self._managers = Managers(hosts, timeout, tls_dir)
        self._auth = registry_auth
        self._timeout = timeout
        self._all_services = Together(self._list_services)

    def services(self, label: str = "") -> list[ServiceView]:
        """Every service, or every one with that label. Raises RetryLater when no manager answers.

        Threads that ask for every one at the same time share one answer: a burst of events asks as often.
        """
        return self._list_services(label) if label else list(self._all_services.ask())

    def _list_services(self, label: str = "") -> list[ServiceView]:
        filters = {"label": [label]} if label else {}
        return [service_view(raw) for raw in self._read(lambda c: get_json(c, "/services", filters=filters))]

    def service(self, name_or_id: str) -> ServiceView | None:
        """The service of that exact name or id, or None. The engine itself would also take a prefix."""
        if not _NAME.fullmatch(name_or_id):
            return None
        raw = self._read(lambda c: _found(c, name_or_id))
        if raw is None or name_or_id not in (raw["ID"], raw["Spec"]["Name"]):
            return None
        return service_view(raw)

    def update_service(self, service_id: str, version: int, spec: Spec, image: ImageName | None = None) -> None:
        """Replace the whole spec, if the service still is at *version*.

        A stale version comes back as HTTP 500 "update out of sequence": OutOfSequence. That lock is also
        why the request may be sent again to another manager after a lost answer.
        """
        headers = auth_headers(self._auth, image.registry) if image else {}

        def write(client: Client) -> None:
            url = client._url("/services/{0}/update", service_id)
            params = {"version": version, "registryAuthFrom": "spec"}
            client._result(client._post_json(url, data=spec, params=params, headers=dict(headers)))

        try:
            self._managers.ask(write)
        except APIError as error:
            raise update_error(error) from error

    def create_service(self, spec: Spec, image: ImageName | None = None) -> str:
        """Create a service; its id. A name that is taken comes back as HTTP 409: Conflict.

        That is also why the request may be sent again to another manager after a lost answer.
        """
        headers = auth_headers(self._auth, image.registry) if image else {}

        def create(client: Client) -> str:
            answer = client._post_json(client._url("/services/create"), data=spec, headers=dict(headers))
            return str(client._result(answer, json=True)["ID"])

        try:
            return self._managers.ask(create)
        except APIError as error:
            raise create_error(spec["Name"], error) from error

    def remove_service(self, service_id: str) -> None:
        """Remove a service. One that is gone already is no error."""

        def remove(client: Client) -> None:
            client._raise_for_status(client._delete(client._url("/services/{0}", service_id)))

        try:
            self._managers.ask(remove)
        except APIError as error:
            if error.status_code != 404:
                raise read_error(error) from error

    def tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """All tasks of these services, history included.

        The tasks are read before their up-to-dateness, so a flag is never older than its task. Before
        that, read the service: then "up to date" means a spec that is at least as new as the one seen.

        Swarm compares by value: a task that ended long ago is up to date again when the service goes back
        to what that task was made from. Failures of one rollout are those that were not there before it.
        """

        def both(client: Client, services: list[str]) -> list[TaskView]:
            tasks = get_json(client, "/tasks", filters={"service": services})
            fresh = {
                t["ID"] for t in get_json(client, "/tasks", filters={"service": services, "_up-to-date": ["true"]})
            }
            return [task_view(raw, raw["ID"] in fresh) for raw in tasks]

        return self._of_those_there(service_ids, both)

    def live_tasks(self, service_ids: Sequence[str]) -> list[TaskView]:
        """The tasks that the swarm wants to run, history excluded, in one call. ``up_to_date`` is not asked for.

        Those of a job are wanted as "complete", from their beginning on, and keep that once they are.
        """

        def live(client: Client, services: list[str]) -> list[TaskView]:
            wanted = {"service": services, "desired-state": ["running", "ready", "complete"]}
            return [task_view(raw, False) for raw in get_json(client, "/tasks", filters=wanted)]

        return self._of_those_there(service_ids, live)

    def _of_those_there(
        self, service_ids: Sequence[str], question: Callable[[Client, list[str]], list[TaskView]]
    ) -> list[TaskView]:
        """An engine refuses the whole question for one service that is not there any more: it is put without that."""
        services = list(service_ids)
        while services:
            try:
                return self._managers.ask(partial(_put, question, services))
            except APIError as error:
                gone = [s for s in services if s in words(error)] if error.status_code == 404 else []
                if not gone:
                    raise read_error(error) from error
                services = [s for s in services if s not in gone]
        return []

    def nodes(self) -> list[NodeView]:
        """Every node of the swarm."""
        return [node_view(raw) for raw in self._read(lambda c: get_json(c, "/nodes"))]

    def task_logs(self, task_id: str, lines: int) -> str:
        """The last *lines* lines of a task, ended or not; empty when they cannot be had within 3 s."""
        if not _NAME.fullmatch(task_id) or lines < 1:
            return ""
        params = {"stdout": 1, "stderr": 1, "tail": str(lines)}
        try:
            text = self._managers.ask(lambda c: _log_text(c, task_id, params))
        except (RetryLater, APIError):
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def resolve(self, image: ImageName) -> ResolvedImage:
        """Ask the registry, through an engine, what *image* (tag or digest) is.

        Raises NotFound, UserError where access is refused, RetryLater where the registry does not answer.
        """
        headers = auth_headers(self._auth, image.registry)

        def inspect(client: Client) -> Any:
            url = client._url("/distribution/{0}/json", str(image))
            try:
                return client._result(client._get(url, headers=dict(headers)), json=True)
            except APIError as error:
                raise resolve_error(image, words(error), error.status_code) from error
            except requests.ReadTimeout as error:
                raise RetryLater(
                    f"the registry {image.registry} did not answer within {self._timeout:g} s", delay=5.0
                ) from error

        return resolved_image(self._managers.ask(inspect))

    def events(self) -> Iterator[Mapping[str, object]]:
        """Swarm-scoped events as they come. Ends when the connection does; closing it ends it as well.

        Raises RetryLater at once when no manager answers. There are no events of tasks.
        """
        return _decoded(self._read(_event_stream))

    def ping(self) -> None:
        """Raises RetryLater unless a manager answers."""
        self._read(lambda c: get_json(c, "/swarm"))

    def info(self) -> Mapping[str, Any]:
        """The answering manager's ``/info``, as it came: versions, swarm state, warnings. For ``doctor``."""
        info: Mapping[str, Any] = self._read(lambda c: (get_json(c, "/swarm"), get_json(c, "/info"))[1])
        return info

    def _read(self, question: Callable[[Client], T]) -> T:
        try:
            return self._managers.ask(question)
        except APIError as error:
            raise read_error(error) from error


def _put(
    question: Callable[[Client, list[str]], list[TaskView]], services: list[str], client: Client
) -> list[TaskView]:
    return question(client, services)


def _found(client: Client, name_or_id: str) -> Any:
    try:
        return get_json(client, "/services/{0}", name_or_id)
    except APIError as error:
        if error.status_code == 404 or "ambiguous" in words(error):  # a prefix of several is none of them
            return None
        raise


def _log_text(client: Client, task_id: str, params: Mapping[str, Any]) -> str:
    """What came until the stream ended, broke, or the time was over."""
    url = client._url("/tasks/{0}/logs", task_id)
    until = time.monotonic() + _LOG_TIMEOUT
    received = bytearray()
    try:
        with closing(client._get(url, params=params, stream=True, timeout=_LOG_TIMEOUT)) as response:
            client._raise_for_status(response)
            while chunk := response.raw.read1(65536):
                received += chunk
                if time.monotonic() > until:
                    break
    except (requests.ReadTimeout, urllib3.exceptions.HTTPError, TimeoutError):
        pass  # a node that is down: the manager itself is well, so no other one is asked
    return demultiplexed(bytes(received))


def _event_stream(client: Client) -> Any:
    get_json(client, "/swarm")  # a worker would accept the question and never have anything to say
    url = client._url("/events")
    response = client._get(url, params={"filters": json.dumps(_EVENTS)}, stream=True, timeout=(3.0, None))
    client._raise_for_status(response)
    return response


def _decoded(response: Any) -> Iterator[Mapping[str, object]]:
    with closing(response):
        try:
            yield from records(_chunks(response))
        except _BROKEN:
            return


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.raw.read1(65536):
        yield chunk
