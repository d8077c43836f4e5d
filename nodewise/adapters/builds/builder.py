"""An engine that builds, runs source builds and pushes: ``nodewise.ports.Builder``.

Chooses who builds an image: BuildKit, where the engine has it and this machine a client that speaks it, otherwise the
engine's classic builder. Refuses to know where the sources came from and what the image is for.
"""

from __future__ import annotations

from pathlib import Path

from docker.errors import APIError

from nodewise.adapters.builds import buildkit, classic, disk, source_build
from nodewise.adapters.builds.attending import Reporter, unwrapped
from nodewise.adapters.builds.buildkit_client import clear_workplaces, find_client, offers_buildkit
from nodewise.adapters.builds.context import Context
from nodewise.adapters.builds.engine import BuildEngine, is_for
from nodewise.adapters.builds.masking import Mask, as_text, read_secrets
from nodewise.adapters.credentials import RegistryAuth
from nodewise.adapters.docker_errors import read_error, words
from nodewise.adapters.managers import get_json
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import ImageOrder, SourceOrder
from nodewise.ports import Progress


class DockerBuilder:
    """The engine at *host*; it need not be part of the swarm. *tls_dir*: ca.pem, cert.pem, key.pem for tcp.

    *registry_auth*: registry name to credentials, for base images and for the push. *client*: the docker client that
    speaks to BuildKit, a name to look for or a path; empty: always the classic builder. Raises only the errors of
    ``nodewise.domain.errors``, and what a Progress raises. May be shared by threads and survives a fork.
    """

    def __init__(
        self, host: str, registry_auth: RegistryAuth, client: str = "docker", tls_dir: Path | None = None
    ) -> None:
        self._engine = BuildEngine(host, registry_auth, tls_dir)
        self._client = client

    def build(self, order: ImageOrder, progress: Progress) -> str:
        """Build ``order.context`` and name it. Returns the image's id (``sha256:…``).

        The Dockerfile is relative to the context; both must be inside the checkout, links resolved. Raises GiveUp
        with the failing step and the last lines, RetryLater when the engine or a base image's registry is out of
        reach.
        """
        with unwrapped():
            return self._build(order, progress)

    def _build(self, order: ImageOrder, progress: Progress) -> str:
        secrets = read_secrets(order.secrets)
        reporter = Reporter(progress, Mask((*order.args.values(), *as_text(secrets))))
        context = Context.of(order.context, order.dockerfile)
        program = self._buildkit()
        context.measure(order.most, reporter, buildkit=program is not None)
        if program:
            built = buildkit.build(self._engine, program, order, context, reporter)
        else:
            built = classic.build(self._engine, order, context, reporter)
        image = self._engine.image(built)
        if order.platform and not is_for(image, order.platform):
            what = f"the image came out for {image.get('Os')}/{image.get('Architecture')}, not for {order.platform}"
            raise GiveUp(what, "is its base image there for that platform?")
        image_id = str(image["Id"])
        if order.cache:
            self._keep(image_id, order.cache, reporter)
        return image_id

    def run(self, order: SourceOrder, progress: Progress) -> None:
        """Run a source build. Its command finds the checkout as its working directory, and writes what it likes there.

        Raises GiveUp with the exit code and the last lines, or naming what cannot be taken back; RetryLater.
        """
        secrets = read_secrets(order.secrets)
        reporter = Reporter(progress, Mask(as_text(secrets)))
        with unwrapped():
            source_build.SourceBuild(self._engine, order, secrets, reporter).run()

    def push(self, name: ImageName, progress: Progress) -> str:
        """Push *name*. Returns the digest that the registry recorded. Raises RetryLater or GiveUp."""
        with unwrapped():
            return self._engine.push(name, Reporter(progress))

    def has_image(self, image_id: str) -> bool:
        """Whether the built image is still on the builder."""
        return bool(image_id) and self._engine.inspect(image_id) is not None

    def tag(self, image_id: str, name: ImageName) -> None:
        """Give an image that is there another name. Raises RetryLater or GiveUp."""
        try:
            self._engine.tag(image_id, name)
        except APIError as error:
            raise read_error(error) from None

    def clear(self, build: str) -> None:
        """Remove what a build whose worker was killed left on the engine, and of its client on this machine."""
        clear_workplaces(build)
        source_build.clear(self._engine, build)

    def remove(self, name: ImageName) -> None:
        """Take *name* off the image that has it. One that is gone already, or is in use, is no error."""
        disk.remove_image(self._engine, name)

    def space(self) -> int | None:
        """How many bytes are free where the engine keeps its images; None where that cannot be told from here."""
        return disk.free_space(self._engine)

    def ping(self) -> None:
        """Raises RetryLater unless the engine answers."""
        try:
            self._engine.ask(lambda c: get_json(c, "/version"))
        except APIError as error:
            raise RetryLater(f"{self._engine.host} does not answer like an engine: {words(error)}", delay=5.0) from None

    def _buildkit(self) -> Path | None:
        """The client to build with; None: the classic builder."""
        program = find_client(self._client)
        try:
            return program if program and self._engine.ask(offers_buildkit) else None
        except APIError as error:
            raise read_error(error) from None

    def _keep(self, image_id: str, cache: str, reporter: Reporter) -> None:
        """Push the image under the cache's name too. It is built all the same where that fails."""
        name = ImageName.parse(cache)
        try:
            self._engine.tag(image_id, name)
            self._engine.push(name, reporter)
        except (APIError, GiveUp, RetryLater) as error:
            reporter.line(f"the cache {cache} is not written: {words(error)}")
