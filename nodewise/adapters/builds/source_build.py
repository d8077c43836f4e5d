"""A source build on an engine: the checkout goes into a volume, a command runs on it, and what it made comes back.

The engine may be another machine, so nothing of this one is mounted: files go there and back as tar streams, which an
engine takes for a container that does not run, with its volumes (``PUT`` and ``GET /containers/{id}/archive``). It
unpacks them as root, with the owners that stand in them, and that is how volumes get to be the image's user's.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from docker.errors import APIError

from nodewise.adapters.builds.attending import Reporter
from nodewise.adapters.builds.engine import BuildEngine, checked
from nodewise.adapters.builds.frames import Frames
from nodewise.adapters.builds.lines import Lines
from nodewise.adapters.builds.log import TAIL
from nodewise.adapters.builds.source_user import owner_of
from nodewise.adapters.builds.taking_back import Room, TakingBack, links_out_of, output_path
from nodewise.adapters.builds.tars import everything_in, new_tar
from nodewise.adapters.docker_errors import read_error, words
from nodewise.adapters.managers import Client, get_json
from nodewise.adapters.streams import as_file
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import SourceOrder

PLACE = "source"  # where the checkout is in the container, below its root
SECRETS = "run/secrets"
BUILD = "nodewise.build"  # the label with the build's id
CACHE = "nodewise.cache"  # and with the name of the build whose cache it is


class SourceBuild:
    """One order, run on one engine. *secrets*: their contents by name."""

    def __init__(self, engine: BuildEngine, order: SourceOrder, secrets: dict[str, bytes], reporter: Reporter) -> None:
        self._engine = engine
        self._order = order
        self._secrets = secrets
        self._reporter = reporter
        self._outputs = [output_path(given) for given in order.output]

    def run(self) -> None:
        """Raises GiveUp with the exit code and the last lines, RetryLater, Over."""
        clear(self._engine, self._order.build)  # what an attempt left whose worker was killed
        try:
            self._run()
        except APIError as error:
            what = self._reporter.mask(f"the source build cannot be run: {words(error)}")
            raise GiveUp(what) if error.is_client_error() else RetryLater(what) from None
        except BaseException:
            with suppress(NodewiseError):  # what the engine was just about to make
                clear(self._engine, self._order.build)
            raise

    def _run(self) -> None:
        self._pull()
        with self._volume() as volume, self._container(volume) as container:
            self._upload(container)
            self._command(container)
            self._take_back(container)

    def _pull(self) -> None:
        if self._engine.inspect(self._order.image) is None:
            self._engine.pull(ImageName.parse(self._order.image), self._reporter)

    # -- what it is made of ------------------------------------------------------------------------

    @contextmanager
    def _volume(self) -> Iterator[str]:
        made = self._engine.attended(lambda c: _create(c, "/volumes/create", {"Labels": self._labels}), self._reporter)
        try:
            yield str(made["Name"])
        finally:
            remove(self._engine, "/volumes/{0}", made["Name"])

    @contextmanager
    def _container(self, volume: str) -> Iterator[str]:
        spec = self._spec(volume)
        made = self._engine.attended(lambda c: _create(c, "/containers/create", spec), self._reporter)
        try:
            yield str(made["Id"])
        finally:
            remove(self._engine, "/containers/{0}", made["Id"])

    @property
    def _labels(self) -> dict[str, str]:
        return {BUILD: self._order.build}

    def _spec(self, volume: str) -> dict[str, Any]:
        """What to create. Of the image only its user and its environment are left; of the engine, nothing."""
        checkout = {"Type": "volume", "Source": volume, "Target": f"/{PLACE}", "VolumeOptions": {"NoCopy": True}}
        options = {"Labels": {CACHE: self._order.name}}
        caches = [
            {"Type": "volume", "Source": cache_name(self._order.name, p), "Target": p, "VolumeOptions": options}
            for p in self._order.cache
        ]
        return {
            "Image": self._order.image,
            "Entrypoint": ["/bin/sh", "-ec"],
            "Cmd": [self._order.command],
            "WorkingDir": f"/{PLACE}",
            "Env": [f"{name}={value}" for name, value in self._order.env.items()],
            "Labels": self._labels,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "Mounts": [checkout, *caches],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "none"},  # what it prints is followed, and kept here
            },
        }

    def _upload(self, container: str) -> None:
        """The checkout, the secrets, and who owns them and the caches: the user that the command runs as."""
        owner = owner_of(self._engine, container, self._reporter)
        with new_tar(self._reporter, owner) as tar:
            tar.folder(PLACE)
            try:
                tar.tree(self._order.checkout, everything_in(self._order.checkout), f"{PLACE}/")
            except OSError as error:
                raise GiveUp(f"the checkout cannot be read: {error}") from error
            for path in self._order.cache:
                tar.folder(path.strip("/"))
            for name, content in self._secrets.items():
                tar.file(f"{SECRETS}/{name}", content, 0o400)
            body = tar.done()
            self._engine.attended(lambda c: _put(c, container, body), self._reporter)

    # -- what it does ------------------------------------------------------------------------------

    def _command(self, container: str) -> None:
        tail: deque[str] = deque(maxlen=TAIL)
        for line in self._printed(container):
            tail.append(self._reporter.mask(line))
            self._reporter.line(line)
        state = self._ended(container)
        if code := int(state["ExitCode"]):
            why = " (out of memory)" if state.get("OOMKilled") else ""
            raise GiveUp("\n".join((f"the source build failed with exit code {code}{why}", *tail)))

    def _printed(self, container: str) -> Iterator[str]:
        """Every line of both outputs. It is started once somebody listens, so that none is lost."""

        def start(client: Client) -> Any:
            params = {"stream": 1, "stdout": 1, "stderr": 1}
            url = client._url("/containers/{0}/attach", container)
            response = checked(client, client._post(url, params=params, stream=True))
            checked(client, client._post(client._url("/containers/{0}/start", container)))
            return response

        frames, outputs = Frames(), {1: Lines(), 2: Lines()}
        with closing(self._engine.stream(start, self._reporter)) as chunks:
            for chunk in chunks:
                for output, piece in frames.feed(chunk):
                    yield from outputs[output].feed(piece) if output in outputs else ()
        for lines in outputs.values():
            yield from lines.rest()

    def _ended(self, container: str) -> Any:
        """Its state once it has ended: both outputs may have been closed before."""
        self._engine.attended(lambda c: _create(c, f"/containers/{container}/wait", None), self._reporter)
        return self._engine.ask(lambda c: get_json(c, "/containers/{0}/json", container))["State"]

    # -- what comes back ---------------------------------------------------------------------------

    def _take_back(self, container: str) -> None:
        checkout = self._order.checkout
        known, room = links_out_of(checkout), Room(self._order.most)
        with tempfile.TemporaryDirectory(prefix=".nodewise-taken-", dir=checkout.parent) as name:
            taken = []
            for number, path in enumerate(self._outputs):
                beside = Path(name, str(number))
                beside.mkdir()
                taken.append(TakingBack(checkout, path, beside, room, known, self._reporter))
                self._unpack(container, path, taken[-1])
            try:
                for output in taken:
                    output.move()
            except OSError as error:
                raise _unwritable(error) from error

    def _unpack(self, container: str, path: PurePosixPath, into: TakingBack) -> None:
        inside = f"/{PLACE}/{path}" if path.parts else f"/{PLACE}/."  # with a dot: what is in it, and not itself
        try:
            with closing(self._engine.archive(container, inside, self._reporter)) as chunks:
                with tarfile.open(fileobj=as_file(chunks), mode="r|") as tar:
                    into.unpack(tar)
        except APIError as error:
            if error.status_code != 404 and "not a directory" not in words(error):
                raise
            raise GiveUp(f"the source build made no {path}, which is named as its output") from None
        except tarfile.TarError as error:
            raise RetryLater(f"the source build's output {path} broke off: {error}") from error
        except OSError as error:
            raise _unwritable(error) from error


def clear(engine: BuildEngine, build: str) -> None:
    """Remove the containers and volumes that carry the build's id. Raises RetryLater, GiveUp."""
    filters = {"label": [f"{BUILD}={build}"]}
    try:
        containers = engine.ask(lambda c: get_json(c, "/containers/json", all=1, filters=dict(filters)))
        for container in containers:
            remove(engine, "/containers/{0}", container["Id"])
        volumes = engine.ask(lambda c: get_json(c, "/volumes", filters=dict(filters)))
        for volume in volumes["Volumes"] or ():
            remove(engine, "/volumes/{0}", volume["Name"])
    except APIError as error:
        raise read_error(error) from None


def cache_name(name: str, path: str) -> str:
    """The volume that keeps *path* from one build called *name* to the next."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    return f"nodewise-cache-{plain}-{hashlib.sha256(f'{name}:{path}'.encode()).hexdigest()[:12]}"


def remove(engine: BuildEngine, path: str, name: str) -> None:
    """A container, with the volumes that have no name, or a volume. What stays for now ``clear`` finds by its label."""

    def delete(client: Client) -> None:
        checked(client, client._delete(client._url(path, name), params={"force": 1, "v": 1}))

    with suppress(APIError, NodewiseError):
        engine.ask(delete)


def _create(client: Client, path: str, spec: Any) -> Any:
    return client._result(client._post_json(client._url(path), data=spec), json=True)


def _put(client: Client, container: str, body: Any) -> None:
    url = client._url("/containers/{0}/archive", container)
    checked(client, client._put(url, params={"path": "/"}, data=body))


def _unwritable(error: OSError) -> GiveUp:
    return GiveUp(f"what the source build made cannot be written to the checkout: {error.strerror or error}")
