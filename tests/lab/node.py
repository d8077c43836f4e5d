"""One node of the lab: a Docker engine in its own network namespace, with its own name and /run/docker."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.lab import network
from tests.lab.processes import Recorded, kill_all, wait_until

RUN = Path("/run/nodewise-lab")
# The registry's port where BuildKit is to pull: it knows an engine's insecure registries by their whole address, and
# not as a network; a 20.10 takes one without http:// for https (moby, daemon/daemon.go: RegistryHosts; tried).
PLAIN_PORT = 5999
# `ip netns exec` remounts /sys, and the engine then misses its cgroups: hence nsenter. The shell becomes the engine.
_BECOME = "hostname {name}; mount -t tmpfs tmpfs /run/docker; exec {engine}"


@dataclass(frozen=True)
class Node:
    """A node by name. ``data`` holds its images, and its swarm state while it is up."""

    name: str
    address: str
    manager: bool
    data: Path

    @property
    def namespace(self) -> str:
        return f"nwlab-{self.name}"

    @property
    def run_dir(self) -> Path:
        return RUN / self.name

    @property
    def docker_host(self) -> str:
        return f"unix://{self.run_dir}/docker.sock"

    @property
    def _process(self) -> Recorded:
        return Recorded(self.run_dir / "engine")

    @property
    def is_up(self) -> bool:
        return bool(self._process.pid)

    @property
    def is_connected(self) -> bool:
        return network.is_connected(self.namespace)

    def client(self, timeout: float = 60.0) -> docker.APIClient:
        return docker.APIClient(base_url=self.docker_host, version="auto", timeout=timeout)

    def launch(self) -> None:
        """Start the engine, without waiting for it. A node that runs is left alone."""
        if self.is_up:
            return
        kill_all(network.pids_in(self.namespace))  # what a killed engine left behind
        for volatile in (self.run_dir, RUN / "exec" / self.name):
            shutil.rmtree(volatile, ignore_errors=True)
            volatile.mkdir(parents=True)
        Path("/run/docker").mkdir(exist_ok=True)
        network.namespace_up(self.namespace, self.address)
        engine = " ".join(
            (
                "dockerd",
                f"--data-root {self.data}",
                f"--exec-root {RUN}/exec/{self.name}",
                f"--pidfile {self.run_dir}/dockerd.pid",
                f"-H {self.docker_host}",
                f"--insecure-registry {network.SUBNET}",
                f"--insecure-registry http://{network.HOST}:{PLAIN_PORT}",
                "--log-level warn --max-concurrent-downloads 2",
            )
        )
        inside = ("nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--uts", "--mount", "sh", "-c")
        self.data.mkdir(parents=True, exist_ok=True)
        self._process.start((*inside, _BECOME.format(name=self.name, engine=engine)), self.run_dir / "engine.log")

    def await_engine(self) -> None:
        """Wait until the engine answers."""

        def answers() -> bool:
            if not self.is_up:
                raise RuntimeError(f"engine {self.name} ended: {(self.run_dir / 'engine.log').read_text()[-2000:]}")
            try:
                with self.client(5) as client:
                    return bool(client.ping())
            except (docker.errors.DockerException, OSError):
                return False

        wait_until(f"the engine of {self.name}", answers)

    def start(self) -> None:
        """Start, or bring back with its data, as after a reboot."""
        self.launch()
        self.await_engine()

    def stop(self) -> None:
        """Shut the engine down in an orderly way; containers stop with it."""
        self._process.stop()
        kill_all(network.pids_in(self.namespace))

    def kill(self) -> None:
        """Pull the plug: engine, containers and all."""
        kill_all([p for p in (self._process.pid, *network.pids_in(self.namespace)) if p])

    @property
    def has_been_cut(self) -> bool:
        """Since its engine was started, however it is connected now. It is started again then: see ``logs``."""
        return (self.run_dir / "has-been-cut").exists()

    def cut(self) -> None:
        """Cut the node off the network; its containers go on."""
        (self.run_dir / "has-been-cut").touch()
        network.cable(self.namespace, False)

    def heal(self) -> None:
        network.cable(self.namespace, True)

    def forget_swarm(self) -> None:
        """Leave images, drop everything else: the next start is a new machine with a warm image store."""
        for part in ("swarm", "containers", "network", "volumes", "plugins"):
            shutil.rmtree(self.data / part, ignore_errors=True)

    def remove(self) -> None:
        """Engine and wires gone."""
        self.kill()
        network.namespace_down(self.namespace)
        self.forget_swarm()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        shutil.rmtree(RUN / "exec" / self.name, ignore_errors=True)
