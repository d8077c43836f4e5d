"""The lab's wires: one bridge, and a network namespace with a cable to it for each node."""

from __future__ import annotations

from pathlib import Path

from tests.lab.processes import run

BRIDGE = "nwlab0"
HOST = "10.77.0.1"
SUBNET = "10.77.0.0/24"
_RULES = (
    ("filter", "FORWARD", "-i", BRIDGE, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-o", BRIDGE, "-j", "ACCEPT"),
    ("nat", "POSTROUTING", "-s", SUBNET, "!", "-d", SUBNET, "-j", "MASQUERADE"),
)


def bridge_up() -> None:
    """The bridge with the host's address on it, and the rules that let packets pass."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{HOST}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for table, chain, *rule in _RULES:
        try:
            run("iptables", "-w", "-t", table, "-C", chain, *rule)
        except RuntimeError:
            run("iptables", "-w", "-t", table, "-I", chain, *rule)


def bridge_down() -> None:
    """Everything that ``bridge_up`` made, gone."""
    for table, chain, *rule in _RULES:
        run("iptables", "-w", "-t", table, "-D", chain, *rule, check=False)
    run("ip", "link", "del", BRIDGE, check=False)


def namespace_up(name: str, address: str) -> None:
    """A namespace whose eth0 is on the bridge."""
    if Path(f"/run/netns/{name}").exists():
        return
    inside = ("nsenter", f"--net=/run/netns/{name}")
    run("ip", "netns", "add", name)
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "link", "set", name, "master", BRIDGE, "up")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    run(*inside, "ip", "route", "add", "default", "via", HOST)


def namespace_down(name: str) -> None:
    run("ip", "link", "del", name, check=False)
    run("ip", "netns", "del", name, check=False)


def cable(name: str, connected: bool) -> None:
    """Pull the node's cable, or put it back."""
    run("ip", "link", "set", name, "up" if connected else "down")


def is_connected(name: str) -> bool:
    """Whether the node's cable is in."""
    try:
        return int(Path(f"/sys/class/net/{name}/flags").read_text(), 16) & 1 == 1  # IFF_UP, netdevice(7)
    except OSError:
        return False


def pids_in(name: str) -> list[int]:
    """Every process in the namespace."""
    return [int(p) for p in run("ip", "netns", "pids", name, check=False).split()]
