"""``./dev lab up|down|status``."""

from __future__ import annotations

import argparse
import sys
import time

import docker

from tests.lab.lab import Lab, _data_of_running, lab_dir, why_not


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev lab", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status"))
    parser.add_argument("--purge", action="store_true", help="with down: the image cache too")
    arguments = parser.parse_args()
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    start = time.monotonic()
    if arguments.verb == "up":
        lab = Lab.up(keep=True)
        print(f"the lab is up after {time.monotonic() - start:.1f} s")
        return show(lab)
    if arguments.verb == "down":
        Lab.down(arguments.purge)
        print(f"the lab is down after {time.monotonic() - start:.1f} s")
        return 0
    return show(Lab(_data_of_running() or lab_dir()))


def show(lab: Lab) -> int:
    """One line a node; exit code 0 only for a whole lab."""
    try:
        with lab.managers[0].client(5) as client:
            states = {n["Description"]["Hostname"]: n["Status"]["State"] for n in client.nodes()}
    except (docker.errors.DockerException, OSError):
        states = {}
    for node in lab.nodes:
        role = "manager" if node.manager else "worker"
        engine = "running" if node.is_up else "stopped"
        print(
            f"{node.name}  {role:<8} {node.address:<12} engine {engine:<8} {states.get(node.name, '-'):<6} "
            f"{node.docker_host}"
        )
    return 0 if lab.is_whole() else 1


if __name__ == "__main__":
    sys.exit(main())
