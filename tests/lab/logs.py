"""Whether the swarm gives every node's logs, and what mends it.

A manager notes that a node has gone when its old connection ends, and that may be after its new one has begun: it then
takes the node for gone where logs are concerned, although it is ready (swarmkit, manager/logbroker/broker.go:
nodeDisconnected; seen on a 20.10). Nodes that were connected through a manager that was lost are hit too.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import docker

from tests.lab.node import Node
from tests.lab.processes import wait_until

NAME = "nodewise-lab-logs"
IMAGE = "127.0.0.1:1/nodewise-lab-logs"  # no registry there: what is on the node is taken
SAID = "heard"
PATIENCE = 10.0  # seconds: logs of a node that does not answer never come


def silent(nodes: list[Node], manager: Node) -> list[Node]:
    """Which of *nodes* the swarm gives no logs of, asked by *manager*. All are ready and active."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(_bring_image, nodes))
    with manager.client(PATIENCE) as client, _service(client) as service:

        def ended() -> list[dict[str, Any]]:
            tasks = client.tasks(filters={"service": service})
            return tasks if sum(t["Status"]["State"] == "complete" for t in tasks) >= len(nodes) else []

        wait_until("a word of every node", ended)
        heard = {t["NodeID"] for t in ended() if SAID in _logs(client, t["ID"])}
        names = {n["Description"]["Hostname"] for n in client.nodes() if n["ID"] in heard}
    return [node for node in nodes if node.name not in names]


def _bring_image(node: Node) -> None:
    with node.client() as client:
        if not client.images(IMAGE):
            tar = io.BytesIO()
            with tarfile.open(fileobj=tar, mode="w") as archive:
                archive.add(str(shutil.which("busybox")), "busybox")
            client.import_image_from_data(tar.getvalue(), repository=IMAGE, tag="latest")


@contextmanager
def _service(client: docker.APIClient) -> Iterator[str]:
    for old in client.services(filters={"name": NAME}):
        client.remove_service(old["ID"])
    spec = {
        "Name": NAME,
        "Mode": {"Global": {}},
        "TaskTemplate": {
            "ContainerSpec": {"Image": IMAGE, "Command": ["/busybox", "echo", SAID]},
            "RestartPolicy": {"Condition": "none"},
        },
    }
    service = client._result(client._post_json(client._url("/services/create"), data=spec), True)["ID"]
    try:
        yield service
    finally:
        client.remove_service(service)


def _logs(client: docker.APIClient, task: str) -> str:
    try:
        answer = client._get(client._url("/tasks/{0}/logs", task), params={"stdout": True})
        return str(client._result(answer))
    except (docker.errors.DockerException, OSError):
        return ""
