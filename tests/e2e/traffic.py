"""Traffic within the swarm: a client that asks a service again and again, by the swarm's own DNS and without a retry.

A resolver that does not answer in time has said nothing of the service: on a busy machine the question is put again.
Between its answer and the request such a machine may take a while as well, so a task that is told to stop goes on
serving for longer than that.

It stands for the edge that is not there: one that sends each request wherever Swarm says that the service is.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker

from tests.e2e.hands import raw_service
from tests.product import wait_for
from tests.scene import PROBE, SECOND, Scene

LOST = "LOST"
DRAIN = 4  # seconds
ASK = (
    'while true; do said=$(nslookup -type=a %s 127.0.0.11 2>&1); case "$said" in *"timed out"*) continue;; esac;'
    """ a=$(echo "$said" | sed -n 's/^Address: //p' | head -n 1);"""
    f" timeout 10 wget -q -O - http://$a:8080/version 2>/dev/null || echo {LOST} ${{a:-$said}}; done"
)


@dataclass
class Traffic:
    """One client and the service that it asks."""

    client: docker.APIClient
    container: str
    service: str

    def answers(self) -> Counter[str]:
        """How often each version has answered, and how often there was no answer at each address."""
        return Counter(self.client.logs(self.container).decode().split("\n")[:-1])

    def lost(self) -> list[str]:
        return [line for line in self.answers() if line.startswith(LOST)]

    def wait_for(self, version: str) -> None:
        """Until *version* has answered once more than it has by now."""
        before = self.answers()[version]
        wait_for(f"an answer of {version}", lambda: self.answers()[version] > before)


@contextmanager
def traffic(scene: Scene, image: str, replicas: int, order: str) -> Iterator[Traffic]:
    """A service of *replicas* tasks on one node, without a fixed port, and requests to it the whole time."""
    name, tag = f"{scene.name}-asked-{uuid.uuid4().hex[:4]}", image.rpartition(":")[2]
    with _network(scene.client(), name) as network, raw_service(scene, _spec(name, image, network, replicas, order)):
        wait_for(f"{name} to run", lambda: scene.running_tags(name) == [tag] * replicas)
        with _asking(scene.client(), image, name) as container:
            made = Traffic(scene.client(), container, name)
            made.wait_for(tag)
            yield made


@contextmanager
def _network(client: docker.APIClient, name: str) -> Iterator[str]:
    network = client.create_network(name, driver="overlay", attachable=True, check_duplicate=True)["Id"]
    try:
        yield network
    finally:
        wait_for("the network to be free", lambda: _removed(client, network))


@contextmanager
def _asking(client: docker.APIClient, image: str, service: str) -> Iterator[str]:
    host = client.create_host_config(network_mode=service)
    made = client.create_container(image, ["-c", ASK % service], entrypoint=["/bin/sh"], host_config=host)["Id"]
    try:
        client.start(made)
        yield made
    finally:
        client.remove_container(made, force=True)


def _spec(name: str, image: str, network: str, replicas: int, order: str) -> dict[str, Any]:
    probe = {"Test": ["CMD", *PROBE], "Interval": SECOND // 2, "Timeout": SECOND, "Retries": 20}
    return {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Env": [f"DRAIN={DRAIN}"],
                "StopGracePeriod": 3 * DRAIN * SECOND,
                "Healthcheck": probe,
            },
            "Placement": {"Constraints": ["node.hostname==w1"]},
            "Networks": [{"Target": network}],
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Monitor": SECOND, "Order": order},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def _removed(client: docker.APIClient, network: str) -> bool:
    try:
        client.remove_network(network)
    except docker.errors.NotFound:
        return True
    except docker.errors.APIError:
        return False  # a task is still leaving it
    return True
