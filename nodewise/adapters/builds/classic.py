"""Images built by an engine's classic builder, over its API: where there is no BuildKit, or no client that speaks it.

An engine stops a classic build whose connection is gone (moby, api/server/router/build: the request's context), and
removes the container of its running step. Build arguments go in the address of the request.

Its cache mixes up platforms where an image begins with ``FROM scratch`` (tried with 20.10; mended in 24.0.9 and 25.0.2
with CVE-2024-24557).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodewise.adapters.builds.attending import Reporter
from nodewise.adapters.builds.context import Context
from nodewise.adapters.builds.engine import BuildEngine, is_for
from nodewise.adapters.builds.log import BuildLog
from nodewise.adapters.docker_errors import base_error
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater
from nodewise.domain.images import ImageName
from nodewise.domain.recipe import ImageOrder

NO_SECRETS = (
    "secrets need BuildKit: an engine of version 18.09 or newer, and on the worker's machine a docker client, one older"
    " than 23 or a newer one with its buildx plugin"
)


def build(engine: BuildEngine, order: ImageOrder, context: Context, reporter: Reporter) -> str:
    """Build it. Returns the image's id. Raises GiveUp with the failing step, RetryLater."""
    if order.secrets:
        raise GiveUp(
            f"the build has secrets ({', '.join(sorted(order.secrets))}), the classic builder none", NO_SECRETS
        )
    params = _params(order, context, _cached(engine, order, reporter))
    built = _build(engine, order, context, reporter, params)
    if order.platform and not is_for(engine.image(built), order.platform):
        reporter.line(f"what the engine has in its cache is not for {order.platform}: built again without it")
        built = _build(engine, order, context, reporter, {**params, "nocache": True})
    return built


def _build(
    engine: BuildEngine, order: ImageOrder, context: Context, reporter: Reporter, params: Mapping[str, Any]
) -> str:
    reader = BuildLog(reporter.mask)
    registries = context.registries() | {ImageName.parse(order.name).registry}
    headers = {"Content-Type": "application/tar", **engine.registry_config(registries)}
    with context.tar(reporter) as body:
        engine.follow("/build", "", reader, reporter, params=params, headers=headers, data=body)
    if reader.error:
        raise _error(reader)
    if not reader.image_id:
        raise RetryLater(reader.failure("the build ended without an image: it"))
    return reader.image_id


def _params(order: ImageOrder, context: Context, known: bool) -> Mapping[str, Any]:
    params = {
        "t": order.name,
        "dockerfile": context.dockerfile,
        "rm": True,
        "forcerm": True,
        "pull": False,
        "buildargs": json.dumps(dict(order.args)),
        "labels": json.dumps(dict(order.labels)),
        "target": order.target,
        "platform": order.platform,
        "cachefrom": json.dumps([order.cache] if known else []),
    }
    return {name: value for name, value in params.items() if value != ""}


def _cached(engine: BuildEngine, order: ImageOrder, reporter: Reporter) -> bool:
    """Whether there is an image to take layers from. A classic builder has to have it itself: it is pulled."""
    if not order.cache:
        return False
    try:
        engine.pull(ImageName.parse(order.cache), reporter)
    except (GiveUp, RetryLater) as error:
        reporter.line(f"without the cache {order.cache}: {error.what}")
        return False
    return True


def _error(reader: BuildLog) -> NodewiseError:
    """GiveUp with the failing step; but a registry that does not answer for a base image may do so later."""
    what = reader.failure("the build")
    return base_error(what, reader.error) if " FROM " in reader.step else GiveUp(what)
