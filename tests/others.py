"""What others do to a service, through the engine's API and without Nodewise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
from docker import APIClient


def update(client: APIClient, service: str, change: Callable[[dict[str, Any]], object], **params: str) -> None:
    """Do *change* to its spec and send it, as a script of somebody's own would.

    Again where Swarm itself has written the service in between: the engine answers 500 then.
    """
    while True:
        found = client.inspect_service(service)
        change(found["Spec"])
        url = client._url("/services/{0}/update", found["ID"])
        sent = {**params, "version": found["Version"]["Index"]}
        try:
            client._raise_for_status(client._post_json(url, data=found["Spec"], params=sent))
        except docker.errors.APIError as error:
            if "out of sequence" not in str(error):
                raise
        else:
            return


def roll_back(client: APIClient, service: str) -> None:
    """``docker service update --rollback``."""
    update(client, service, lambda spec: None, rollback="previous")


def scale(client: APIClient, service: str, replicas: int) -> None:
    """``docker service scale``."""
    update(client, service, lambda spec: spec["Mode"]["Replicated"].update(Replicas=replicas))
