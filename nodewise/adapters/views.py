"""The Engine API's JSON into the plain values of ``nodewise.domain.swarm``. Pure; knows no connection."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from nodewise.domain.swarm import NodeView, ResolvedImage, ServiceView, TaskView, image_of

Raw = Mapping[str, Any]

_ENDED = frozenset(("complete", "failed", "shutdown"))
_TIMESTAMP = re.compile(r"(.*T\d\d:\d\d:\d\d)(?:\.(\d+))?(.*)")
_FRAME = struct.Struct(">BxxxL")


def service_view(raw: Raw) -> ServiceView:
    """One service. The spec is the very object that came, to be written back as it is."""
    status = raw.get("UpdateStatus") or {}
    return ServiceView(
        id=raw["ID"],
        name=raw["Spec"]["Name"],
        version=raw["Version"]["Index"],
        spec=raw["Spec"],
        update_state=status.get("State") or "",
        update_message=status.get("Message") or "",
        previous_spec=raw.get("PreviousSpec") or None,
    )


def task_view(raw: Raw, up_to_date: bool) -> TaskView:
    """One task. ``at`` is padded to nanoseconds, so that two of them compare as text."""
    status = raw.get("Status") or {}
    return TaskView(
        id=raw["ID"],
        service_id=raw.get("ServiceID") or "",
        node_id=raw.get("NodeID") or "",
        slot=raw.get("Slot") or 0,
        state=status.get("State") or "",
        desired=raw.get("DesiredState") or "",
        image=image_of({"TaskTemplate": raw.get("Spec") or {}}),
        up_to_date=up_to_date,
        error=status.get("Err") or "",
        exit_code=_exit_code(status),
        at=padded(status.get("Timestamp") or ""),
        address=_task_address(raw.get("NetworksAttachments") or ()),
    )


def node_view(raw: Raw) -> NodeView:
    """One node. ``labels`` are the node's own; those of its engine are not ours to steer by."""
    spec, status = raw.get("Spec") or {}, raw.get("Status") or {}
    description = raw.get("Description") or {}
    return NodeView(
        id=raw["ID"],
        name=description.get("Hostname") or raw["ID"],
        state=status.get("State") or "",
        availability=spec.get("Availability") or "",
        address=_node_address(raw),
        role=spec.get("Role") or "worker",
        labels=dict(spec.get("Labels") or {}),
        engine_version=(description.get("Engine") or {}).get("EngineVersion") or "",
    )


def resolved_image(raw: Raw) -> ResolvedImage:
    """The answer of ``/distribution/NAME/json``.

    Platforms as docker/cli makes them (cli/command/image/trust.go, service/update.go): architecture and
    OS only, and no architecture for arm, whose variants Swarm cannot tell apart (swarmkit#2294).
    """
    platforms = tuple(_platform(p) for p in raw.get("Platforms") or ())
    return ResolvedImage(digest=raw["Descriptor"]["digest"], platforms=platforms)


def demultiplexed(stream: bytes) -> str:
    """A log stream as text. Frames carry stdout and stderr; a container with a TTY sends no frames.

    A frame of the engine's own says why some logs could not be had (moby, pkg/stdcopy: Systemerr); that is text too.
    """
    if not _framed(stream, 0):
        return stream.decode("utf-8", "replace")
    parts, at = [], 0
    while _framed(stream, at):
        length = _FRAME.unpack_from(stream, at)[1]
        at += _FRAME.size
        parts.append(stream[at : at + length])
        at += length
    return b"".join(parts).decode("utf-8", "replace")


def padded(timestamp: str) -> str:
    """Go drops trailing zeros of the fraction; with nine digits the order of texts is the order of times."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        return timestamp
    seconds, fraction, zone = match.groups()
    return f"{seconds}.{(fraction or '').ljust(9, '0')}{zone}"


def _framed(stream: bytes, at: int) -> bool:
    return len(stream) - at >= _FRAME.size and stream[at] <= 3 and stream[at + 1 : at + 4] == b"\0\0\0"


def _exit_code(status: Raw) -> int | None:
    """The engine says 0 for a container that still runs: an exit code only counts after the end."""
    container = status.get("ContainerStatus") or {}
    if status.get("State") not in _ENDED or not container.get("ContainerID"):
        return None
    return int(container.get("ExitCode") or 0)


def _task_address(attachments: Sequence[Raw]) -> str:
    """The first address on a network of the user's; that on the ingress network answers nobody."""
    own = [a for a in attachments if not (a.get("Network", {}).get("Spec") or {}).get("Ingress")]
    addresses = [address for a in (*own, *attachments) for address in a.get("Addresses") or ()]
    return str(addresses[0]).partition("/")[0] if addresses else ""


def _node_address(raw: Raw) -> str:
    """Status.Addr; but of itself the leader only knows 0.0.0.0 (or nothing): then its manager address."""
    address = str((raw.get("Status") or {}).get("Addr") or "")
    if address in ("", "0.0.0.0", "::", "127.0.0.1"):  # noqa: S104 - read, not bound
        manager = str((raw.get("ManagerStatus") or {}).get("Addr") or "")
        return manager.rpartition(":")[0].strip("[]") or address
    return address


def _platform(raw: Raw) -> dict[str, str]:
    architecture = raw.get("architecture") or raw.get("Architecture") or ""
    system = raw.get("os") or raw.get("OS") or ""
    if architecture.lower() == "arm":
        architecture = ""
    return {k: v for k, v in (("Architecture", architecture), ("OS", system)) if v}
