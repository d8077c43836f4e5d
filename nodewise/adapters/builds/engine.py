"""One engine as all ways of building want it: questions, requests that take long, and its images.

Knows no recipe. The SDK's errors carry the whole address of a request, build arguments among it: they are never
chained here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from docker.errors import APIError

from nodewise.adapters.builds.attending import Connections, Reporter, aside
from nodewise.adapters.builds.log import BuildLog
from nodewise.adapters.credentials import RegistryAuth, auth_config, encoded, logins
from nodewise.adapters.docker_errors import read_error, transfer_error, words
from nodewise.adapters.managers import UNREACHABLE, Client, Managers, get_json
from nodewise.adapters.streams import records
from nodewise.domain.errors import RetryLater
from nodewise.domain.images import ImageName

T = TypeVar("T")

_BROKEN = (*UNREACHABLE, urllib3.exceptions.HTTPError, requests.RequestException)
_SILENCE = 24 * 3600.0  # seconds; how long something may take is the progress's affair
_ANSWER = 30.0  # seconds until a simple question is answered


class BuildEngine:
    """The engine at *host*. *auth*: registry name to credentials. *tls_dir*: ca.pem, cert.pem, key.pem for tcp.

    Raises only the errors of ``nodewise.domain.errors``, and the engine's refusals (APIError) where it says so.
    """

    def __init__(self, host: str, auth: RegistryAuth, tls_dir: Path | None = None) -> None:
        self.host = host
        self.auth = auth
        self.tls_dir = tls_dir
        self._hosts = Managers((host,), _ANSWER, tls_dir, what="builder")
        self._patient = Managers((host,), _SILENCE, tls_dir, what="builder")

    # -- questions ---------------------------------------------------------------------------------

    def ask(self, question: Callable[[Client], T]) -> T:
        """Something that is answered at once. Raises RetryLater without an answer, and APIError."""
        return _unchained(self._hosts, question)

    def attended(self, question: Callable[[Client], T], reporter: Reporter) -> T:
        """Something that may take long. Raises as ``ask`` does, and Over."""

        def produce(opened: Connections) -> Iterator[T]:
            yield _unchained(self._patient, lambda c: question(opened.watch(c)))

        with closing(aside(produce, reporter)) as answers:
            return next(iter(answers))

    def stream(self, request: Callable[[Client], Any], reporter: Reporter) -> Generator[bytes]:
        """What the engine sends in answer to *request*, until it ends. Close it: that ends the request.

        Raises as ``attended`` does, RetryLater also where the connection breaks.
        """

        def produce(opened: Connections) -> Iterator[bytes]:
            response = _unchained(self._patient, lambda c: request(opened.watch(c)))
            try:
                while chunk := response.raw.read1(65536):
                    yield chunk
            except _BROKEN as error:
                raise RetryLater(f"the builder {self.host} broke off: {words(error)}", delay=5.0) from None

        with closing(aside(produce, reporter)) as chunks:
            yield from chunks

    def follow(self, path: str, name: str, reader: BuildLog, reporter: Reporter, **request: Any) -> None:
        """POST, and report what the engine says until it ends. Its refusal is left in ``reader.error``."""

        def post(client: Client) -> Any:
            return checked(client, client._post(client._url(path, name), stream=True, **request))

        try:
            with closing(self.stream(post, reporter)) as chunks:
                for record in records(chunks):
                    for line in reader.lines_of(record):
                        reporter.line(line)
        except APIError as error:
            reader.refused(words(error))
        for line in reader.rest():
            reporter.line(line)

    def archive(self, container: str, path: str, reporter: Reporter) -> Generator[bytes]:
        """A tar stream of what is at *path* in a container. Raises as ``stream`` does; APIError 404: nothing."""

        def get(client: Client) -> Any:
            url = client._url("/containers/{0}/archive", container)
            plain = {"Accept-Encoding": "identity"}  # engines compress what may be compressed
            return checked(client, client._get(url, params={"path": path}, headers=plain, stream=True))

        return self.stream(get, reporter)

    # -- images ------------------------------------------------------------------------------------

    def inspect(self, name: str) -> Any:
        """An image by name or id, or None."""
        try:
            return self.ask(lambda c: get_json(c, "/images/{0}/json", name))
        except APIError as error:
            if error.status_code == 404:
                return None
            raise read_error(error) from None

    def image(self, name: str) -> Any:
        """The same, for one that was there a moment ago. Raises RetryLater."""
        image = self.inspect(name)
        if image is None:
            raise RetryLater(f"the builder {self.host} no longer has the image {name}")
        return image

    def pull(self, name: ImageName, reporter: Reporter) -> None:
        """Raises RetryLater or GiveUp."""
        reader = BuildLog(reporter.mask)
        params = {"fromImage": name.repository, "tag": name.digest or name.tag or "latest"}
        self.follow("/images/create", "", reader, reporter, params=params, headers=self._login(name))
        if reader.error:
            raise transfer_error("pulling", name, reader.error)

    def push(self, name: ImageName, reporter: Reporter) -> str:
        """The digest that the registry recorded. Raises RetryLater or GiveUp."""
        reader = BuildLog(reporter.mask)
        params = {"tag": name.tag or "latest"}
        self.follow("/images/{0}/push", name.repository, reader, reporter, params=params, headers=self._login(name))
        if reader.error:
            raise transfer_error("pushing", name, reader.error)
        return reader.digest or self.recorded(name)

    def tag(self, image_id: str, name: ImageName) -> None:
        """Give the image one more name. Raises APIError."""
        params = {"repo": name.repository, "tag": name.tag or "latest"}
        self.ask(lambda c: checked(c, c._post(c._url("/images/{0}/tag", image_id), params=params)))

    def recorded(self, name: ImageName) -> str:
        """The digest of *name*'s last push, for an engine that did not name it in the stream."""
        image = self.image(str(name))
        mine = [d for d in image.get("RepoDigests") or () if ImageName.parse(d).repository == name.repository]
        if not mine:
            raise RetryLater(f"the builder names no digest for {name} after its push")
        return ImageName.parse(mine[-1]).digest

    def registry_config(self, registries: frozenset[str]) -> Mapping[str, str]:
        """The header with the logins for base images: a classic build takes them all at once, by registry."""
        known = logins(self.auth, registries)
        return {"X-Registry-Config": encoded(known)} if known else {}

    def _login(self, name: ImageName) -> dict[str, str]:
        """For one image. An engine wants this header for a push even with nothing in it."""
        return {"X-Registry-Auth": encoded(auth_config(self.auth, name.registry) or {})}


def is_for(image: Mapping[str, Any], platform: str) -> bool:
    """Whether an image, as ``inspect`` gives it, is for *platform*. A variant counts where both name one."""
    wanted = platform.split("/")
    found = [str(image.get(name) or "") for name in ("Os", "Architecture", "Variant")]
    return all(not said or said == asked for said, asked in zip(found, wanted, strict=False))


def checked(client: Client, response: Any) -> Any:
    """*response*, unless it is a refusal. Raises APIError."""
    client._raise_for_status(response)
    return response


def _unchained(hosts: Managers, question: Callable[[Client], T]) -> T:
    try:
        return hosts.ask(question)
    except RetryLater as error:
        raise RetryLater(error.what, delay=5.0) from None
