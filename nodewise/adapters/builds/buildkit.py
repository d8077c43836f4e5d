"""Images built by BuildKit, through a docker client as a child process.

An engine ends a BuildKit build whose client is gone, and with it what the running step has started (tried with
20.10). No value of an argument and no secret is in the client's own arguments, which every process can read.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from nodewise.adapters.builds.attending import Reporter, run_child
from nodewise.adapters.builds.buildkit_client import environment, taken_by_client, workplace, write_config
from nodewise.adapters.builds.buildkit_log import BuildKitLog
from nodewise.adapters.builds.context import Context
from nodewise.adapters.builds.engine import BuildEngine
from nodewise.adapters.docker_errors import base_error
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import ImageOrder

_INLINE = "BUILDKIT_INLINE_CACHE"  # the image says itself which layers are of which step
_BASE = ("[internal] load metadata", "resolve image config", "[auth]")  # steps that ask a registry for a base image
# The client's words for an engine that is gone: docker/cli, moby/client and grpc-go.
_GONE = (
    "cannot connect to the docker daemon",
    "error during connect",
    "code = unavailable",
    "error reading from server",
    "transport is closing",
    "failed to receive status",
    "no active session",
)


def build(engine: BuildEngine, program: Path, order: ImageOrder, context: Context, reporter: Reporter) -> str:
    """Build it with the client *program*. Returns the image's id. Raises GiveUp with the failing step, RetryLater."""
    _check_names(order)
    log = BuildKitLog(reporter.mask)

    def say(line: str) -> None:
        if kept := log.kept(line):
            reporter.line(kept)

    with workplace(order.build) as folder:
        names = {ImageName.parse(name).registry for name in (order.name, order.cache) if name}
        write_config(folder, engine, context.registries() | names)
        id_file = folder / "image-id"
        variables = {**environment(engine, folder), **order.args, **({_INLINE: "1"} if order.cache else {})}
        code = run_child(_command(program, order, context, id_file), variables, say, reporter)
        if code:
            raise _error(log, code)
        return id_file.read_text().strip()


def _command(program: Path, order: ImageOrder, context: Context, id_file: Path) -> list[str]:
    names = [*sorted(order.args), *([_INLINE] if order.cache else [])]
    command = [str(program), "build", "--progress", "plain", "--iidfile", str(id_file)]
    command += ["--file", str(context.recipe_path), "--tag", order.name]
    command += [part for name in names for part in ("--build-arg", name)]
    command += [part for name, value in order.labels.items() for part in ("--label", f"{name}={value}")]
    command += [part for name, path in order.secrets.items() for part in ("--secret", _secret(name, path))]
    for option, value in (("target", order.target), ("platform", order.platform), ("cache-from", order.cache)):
        command += [f"--{option}", value] if value else []
    return [*command, str(context.folder)]


def _secret(name: str, path: Path) -> str:
    """The client reads it as one line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow((f"id={name}", f"src={path.absolute()}"))
    return line.getvalue()


def _check_names(order: ImageOrder) -> None:
    for name in order.args:
        if taken_by_client(name) or "=" in name:
            raise GiveUp(f"the build argument {name} cannot be given to BuildKit", "give it another name")


def _error(log: BuildKitLog, code: int) -> NodewiseError:
    """GiveUp with the failing step; but an engine, or a base image's registry, may answer later."""
    if not log.error:
        log.error = f"the docker client ended with exit code {code}"
    what = log.failure("the build")
    if code < 0 or (not log.step and any(said in log.error.lower() for said in _GONE)):
        return RetryLater(what, delay=5.0)
    if log.step.startswith(_BASE) or " FROM " in log.step:
        return base_error(what, log.error)
    return GiveUp(what)
