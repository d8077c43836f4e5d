"""Images built and pushed by one engine: ``nodewise.ports.Builder`` on its classic build API.

Refuses to know where the sources came from and what the image is for. Build arguments are values of the
user's: they are in no error, which is why the SDK's errors, that carry the whole URL, are not chained here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import requests
import urllib3
from docker.errors import APIError

from nodewise.adapters.buildlog import BuildLog
from nodewise.adapters.context import Context
from nodewise.adapters.credentials import RegistryAuth, address_of, auth_config, encoded
from nodewise.adapters.docker_errors import (
    CREDENTIALS_HINT,
    Trouble,
    push_error,
    read_error,
    registry_trouble,
    words,
)
from nodewise.adapters.managers import UNREACHABLE, Client, Managers, get_json
from nodewise.adapters.streams import records
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.images import ImageName

_SILENT = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
_BROKEN = (*UNREACHABLE, urllib3.exceptions.HTTPError)


class DockerBuilder:
    """An engine that builds. *host*: its address; it need not be part of the swarm.

    *registry_auth*: registry name to credentials, for base images and for the push. *timeout*: seconds
    that a whole build or push may take. Raises only the errors of ``nodewise.domain.errors``.
    """

    def __init__(
        self, host: str, registry_auth: RegistryAuth, timeout: float = 1800.0, tls_dir: Path | None = None
    ) -> None:
        self._host = host
        self._auth = registry_auth
        self._timeout = timeout
        self._hosts = Managers((host,), 30.0, tls_dir, what="builder")

    def build(
        self,
        context: Path,
        dockerfile: str,
        tag: ImageName,
        args: Mapping[str, str],
        labels: Mapping[str, str],
        log: Callable[[str], None],
    ) -> str:
        """Build *context* and tag it. Returns the image's id (``sha256:…``).

        *dockerfile* is relative to *context*; both must be inside the checkout, links resolved. Raises
        GiveUp with the failing step and the last lines, RetryLater when the engine or a base image's
        registry is out of reach.
        """
        source = Context.of(context, dockerfile)
        params = {
            "t": str(tag),
            "dockerfile": source.dockerfile,
            "rm": True,
            "forcerm": True,
            "pull": False,
            "buildargs": json.dumps(dict(args)),
            "labels": json.dumps(dict(labels)),
        }
        reader = BuildLog(hidden=tuple(args.values()))
        headers = {"Content-Type": "application/tar", **self._logins(source.registries() | {tag.registry})}
        with source.tar() as body:
            self._run("/build", "", reader, log, params=params, headers=headers, data=body)
        if reader.error:
            raise _build_error(reader)
        if not reader.image_id:
            raise RetryLater(reader.failure("the build ended without an image: it"))
        return str(self._image(reader.image_id)["Id"])

    def push(self, tag: ImageName, log: Callable[[str], None]) -> str:
        """Push *tag*. Returns the digest that the registry recorded. Raises RetryLater or GiveUp."""
        # The name is spelled out in full; an engine wants this header even with nothing in it.
        headers = {"X-Registry-Auth": encoded(auth_config(self._auth, tag.registry) or {})}
        reader = BuildLog()
        params = {"tag": tag.tag or "latest"}
        self._run("/images/{0}/push", tag.repository, reader, log, params=params, headers=headers)
        if reader.error:
            raise push_error(tag, reader.error)
        return reader.digest or self._recorded(tag)

    def has_image(self, image_id: str) -> bool:
        """Whether the built image is still on the builder."""
        return bool(image_id) and self._inspect(image_id) is not None

    def ping(self) -> None:
        """Raises RetryLater unless the engine answers."""
        self._ask(lambda c: get_json(c, "/version"))

    def _run(self, path: str, name: str, reader: BuildLog, log: Callable[[str], None], **request: Any) -> None:
        """POST, and follow what the engine says until it ends. Its refusal is left in ``reader.error``."""
        until = time.monotonic() + self._timeout
        try:
            with closing(self._ask(lambda c: _post(c, c._url(path, name), self._timeout, request))) as response:
                for record in records(_chunks(response, until)):
                    for line in reader.lines_of(record):
                        log(line)
        except APIError as error:
            reader.error = words(error)
        except _SILENT:
            reader.error = f"not done after {self._timeout:g} s"
        except _BROKEN as error:
            raise RetryLater(reader.masked(f"the builder {self._host} broke off: {words(error)}")) from None
        for line in reader.rest():
            log(line)

    def _logins(self, registries: Iterable[str]) -> dict[str, str]:
        """Credentials for base images: an engine takes them all at once, by registry."""
        found = {address_of(r): auth_config(self._auth, r) for r in registries}
        known = {address: config for address, config in found.items() if config}
        return {"X-Registry-Config": encoded(known)} if known else {}

    def _recorded(self, tag: ImageName) -> str:
        """The digest of *tag*'s last push, for an engine that did not name it in the stream."""
        image = self._image(str(tag))
        mine = [d for d in image.get("RepoDigests") or () if ImageName.parse(d).repository == tag.repository]
        if not mine:
            raise RetryLater(f"the builder names no digest for {tag} after its push")
        return ImageName.parse(mine[-1]).digest

    def _image(self, name: str) -> Any:
        image = self._inspect(name)
        if image is None:
            raise RetryLater(f"the builder {self._host} no longer has the image {name}")
        return image

    def _inspect(self, name: str) -> Any:
        try:
            return self._ask(lambda c: get_json(c, "/images/{0}/json", name))
        except APIError as error:
            if error.status_code == 404:
                return None
            raise read_error(error) from error

    def _ask(self, question: Callable[[Client], Any]) -> Any:
        try:
            return self._hosts.ask(question)
        except RetryLater as error:
            raise RetryLater(error.what, delay=5.0) from None


def _post(client: Client, url: str, timeout: float, request: Mapping[str, Any]) -> Any:
    response = client._post(url, stream=True, timeout=(3.0, timeout), **request)
    client._raise_for_status(response)
    return response


def _chunks(response: Any, until: float) -> Iterator[bytes]:
    while chunk := response.raw.read1(65536):
        yield chunk
        if time.monotonic() > until:
            raise TimeoutError


def _build_error(reader: BuildLog) -> NodewiseError:
    """GiveUp with the failing step; but a registry that does not answer for a base image may do so later."""
    what = reader.failure("the build")
    trouble = registry_trouble(reader.error)
    if " FROM " not in reader.step:
        return GiveUp(what)
    if trouble in (Trouble.UNREACHABLE, Trouble.BUSY):
        return RetryLater(what, delay=30.0)
    return GiveUp(what, f"for a private base image, {CREDENTIALS_HINT}" if trouble is Trouble.DENIED else "")
