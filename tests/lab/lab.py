"""The lab as a whole: up, down, status. Idempotent, and repairs what a crash has left."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker

from tests.lab import app, logs, network
from tests.lab.node import RUN, Node
from tests.lab.processes import wait_until
from tests.lab.registry import Registry
from tests.ports import free_port, next_in

ROOT = Path(__file__).parents[2]
MANAGERS = ("m1", "m2", "m3")
WORKERS = ("w1", "w2")
HEARTBEAT = 2_000_000_000  # nanoseconds: a lost node is noticed within seconds (default 5 s)
STACK_LABEL = "nodewise"  # of docker-compose.yml
PASSING = RUN / "passing"  # the mark of a lab that was started for a while, and not by ``./dev lab up``
NEEDED = ("dockerd", "docker-registry", "ip", "iptables", "nsenter", "unshare", "busybox")


def why_not() -> str:
    """Why there can be no lab here, or nothing."""
    if os.geteuid() != 0:
        return "the lab needs root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    return f"the lab needs {', '.join(missing)}: run ./dev setup as root" if missing else ""


def lab_dir() -> Path:
    """Where images are kept between two labs."""
    return Path(os.environ.get("NODEWISE_LAB_DIR") or ROOT / ".lab").resolve()


class Lab:
    """Three managers and two workers. One lab per machine."""

    host = network.HOST

    def __init__(self, data: Path) -> None:
        names = (*MANAGERS, *WORKERS)
        self.nodes = [Node(name, f"10.77.0.{11 + n}", name in MANAGERS, data / name) for n, name in enumerate(names)]
        self.managers = [n for n in self.nodes if n.manager]
        self.workers = [n for n in self.nodes if not n.manager]

    def __getitem__(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)

    # -- up and down -------------------------------------------------------------------------------

    @classmethod
    def up(cls, keep: bool = False) -> Lab:
        """The lab, running and whole: started if there is none, repaired if a part is missing.

        ``keep``: it stays until it is taken down by hand. Otherwise, if this starts it, ``in_use`` takes it down.
        """
        if reason := why_not():
            raise RuntimeError(reason)
        with _locked():
            running = _data_of_running()
            if keep or os.environ.get("NODEWISE_LAB_KEEP"):
                PASSING.unlink(missing_ok=True)
            elif running is None:
                PASSING.touch()
            lab = cls(running or lab_dir())
            if not lab.is_whole():
                lab._raise()
        return lab

    @classmethod
    def down(cls, purge: bool = False) -> None:
        """Everything that the lab has started and made, gone. Images stay unless *purge*."""
        with _locked():
            data = _data_of_running() or lab_dir()
            cls(data)._remove()
            (RUN / "data").unlink(missing_ok=True)
            PASSING.unlink(missing_ok=True)
            if purge:
                shutil.rmtree(data, ignore_errors=True)

    def is_whole(self) -> bool:
        """Every engine has been on its cable since it was started, and every node is ready and active."""
        if not all(n.is_up and n.is_connected and not n.has_been_cut for n in self.nodes):
            return False
        try:
            return self._all_ready()
        except (docker.errors.DockerException, OSError):
            return False

    def _raise(self) -> None:
        is_new = not any(node.is_up for node in self.nodes)
        network.bridge_up()
        for node in self.nodes:
            if node.is_up:
                node.heal()
            if node.has_been_cut:
                node.kill()
        each(self.nodes, Node.start)
        try:
            self._form_swarm()
        except (docker.errors.DockerException, OSError, RuntimeError):
            # Beyond repair, as after a reboot of the machine: a new swarm on the same images.
            self._remove()
            network.bridge_up()
            each(self.nodes, Node.start)
            self._form_swarm()
        if not is_new:
            self._mend_logs()
        (RUN / "data").write_text(str(self.nodes[0].data.parent))

    def _mend_logs(self) -> None:
        """What was lost may have left a node of which there are no logs: its engine is started again."""
        for _ in self.nodes:
            silent = logs.silent(self.nodes, self.managers[0])
            if not silent:
                return
            each(silent, Node.kill)
            each(silent, Node.start)
            wait_until("five ready nodes", self._all_ready)
        raise RuntimeError("there are no logs of some nodes, though their engines were started again")

    def _remove(self) -> None:
        each(self.nodes, Node.remove)
        network.bridge_down()

    def _form_swarm(self) -> None:
        first = self.managers[0]
        with first.client() as client:
            if client.info()["Swarm"]["LocalNodeState"] == "inactive":
                spec = client.create_swarm_spec(dispatcher_heartbeat_period=HEARTBEAT)
                client.init_swarm(first.address, f"{first.address}:2377", swarm_spec=spec)
            wait_until("a leader", lambda: self._leader(client))
            _undrain(client)
            _label(client, first.name)
            tokens = client.inspect_swarm()["JoinTokens"]
        each(self.managers[1:], lambda n: _join(n, first, tokens["Manager"]))
        each(self.workers, lambda n: _join(n, first, tokens["Worker"]))
        wait_until("five ready nodes", self._all_ready)

    def _leader(self, client: docker.APIClient) -> bool:
        try:
            return any((n.get("ManagerStatus") or {}).get("Leader") for n in client.nodes())
        except docker.errors.APIError:
            return False

    def _all_ready(self) -> bool:
        with self.managers[0].client(10) as client:
            nodes = client.nodes()
        good = [
            n
            for n in nodes
            if n["Status"]["State"] == "ready"
            and n["Spec"]["Availability"] == "active"
            and (n["Spec"]["Role"] == "worker" or n.get("ManagerStatus", {}).get("Reachability") == "reachable")
        ]
        return len(good) == len(self.nodes)

    # -- what tests need ---------------------------------------------------------------------------

    def free_port(self) -> int:
        """A port that is free on the host and was not given out lately: nodes publish on it."""
        return next_in(RUN / "next-port", 20000, 10000)

    def open_registry(self, folder: Path, endpoints: Sequence[dict[str, Any]] = (), port: int = 0) -> Registry:
        """A registry that every node can pull from, sending its notifications to *endpoints*."""
        return Registry(folder, self.host, port or free_port(self.host), endpoints).start()

    def build_app(self, image: str, version: str, broken: bool = False) -> None:
        """The sample app of examples/app as *image*, built on the first manager."""
        with self.managers[0].client() as client:
            app.build(client, image, version, broken)


def each(nodes: Sequence[Node], act: Callable[[Node], None]) -> None:
    """Side by side; the first failure is raised."""
    with ThreadPoolExecutor(max(1, len(nodes))) as pool:
        list(pool.map(act, nodes))


def _join(node: Node, via: Node, token: str) -> None:
    with node.client() as client:
        if client.info()["Swarm"]["LocalNodeState"] == "inactive":
            client.join_swarm([f"{via.address}:2377"], token, f"{node.address}:2377", node.address)


def _undrain(client: docker.APIClient) -> None:
    """Let every node take tasks again."""
    for node in client.nodes():
        if node["Spec"]["Availability"] != "active":
            client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], "Availability": "active"})


def _label(client: docker.APIClient, name: str) -> None:
    """The node where docker-compose.yml puts Nodewise: here and not by who deploys it, beside whom others may roll.

    Swarm moves a node's task of a global service at once when the node is written.
    """
    node = client.inspect_node(name)
    if STACK_LABEL not in node["Spec"].get("Labels", {}):
        labels = {**node["Spec"].get("Labels", {}), STACK_LABEL: "true"}
        client.update_node(node["ID"], node["Version"]["Index"], {**node["Spec"], "Labels": labels})


def _data_of_running() -> Path | None:
    """The data of the lab that runs on this machine, whichever checkout has started it."""
    recorded = RUN / "data"
    return Path(recorded.read_text()) if recorded.exists() else None


@contextmanager
def in_use() -> Iterator[None]:
    """The lab is used, whether it is up yet or not. The last user takes down what a user has started.

    What ``./dev lab up`` has started stays, and so does everything if NODEWISE_LAB_KEEP is set.
    """
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            with suppress(BlockingIOError):  # somebody else uses it: the lab is theirs to take down
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if PASSING.exists():
                    Lab.down()


@contextmanager
def _locked() -> Iterator[None]:
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
