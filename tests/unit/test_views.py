"""The Engine API's JSON, as a 20.10 swarm sends it, becomes plain values."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.adapters import views
from nodewise.adapters.streams import records

SERVICE: dict[str, Any] = {
    "ID": "svc1",
    "Version": {"Index": 41},
    "Spec": {"Name": "web", "Labels": {"nodewise.rollout": "r1"}, "TaskTemplate": {}},
    "PreviousSpec": {"Name": "web"},
    "UpdateStatus": {"State": "paused", "Message": "update paused due to failure"},
}
TASK: dict[str, Any] = {
    "ID": "t1",
    "ServiceID": "svc1",
    "NodeID": "n1",
    "Slot": 2,
    "Spec": {"ContainerSpec": {"Image": "registry:5000/app:v1@sha256:aa"}},
    "Status": {
        "Timestamp": "2026-01-02T03:04:05.6Z",
        "State": "failed",
        "Err": "task: non-zero exit (3)",
        "ContainerStatus": {"ContainerID": "c1", "PID": 0, "ExitCode": 3},
    },
    "DesiredState": "shutdown",
    "NetworksAttachments": [
        {"Network": {"Spec": {"Name": "ingress", "Ingress": True}}, "Addresses": ["10.0.0.9/24"]},
        {"Network": {"Spec": {"Name": "mesh"}}, "Addresses": ["10.0.1.7/24"]},
    ],
}
NODE: dict[str, Any] = {
    "ID": "n1",
    "Spec": {"Labels": {"zone": "a"}, "Role": "manager", "Availability": "active"},
    "Description": {"Hostname": "node-1", "Engine": {"EngineVersion": "20.10.24", "Labels": {"x": "y"}}},
    "Status": {"State": "ready", "Addr": "10.1.0.1"},
    "ManagerStatus": {"Leader": True, "Addr": "10.1.0.1:2377"},
}


def task(**status: Any) -> dict[str, Any]:
    return {**TASK, "Status": {**TASK["Status"], **status}}


def test_a_services_spec_is_the_very_object_that_came() -> None:
    view = views.service_view(SERVICE)
    assert view.spec is SERVICE["Spec"]
    assert (view.id, view.name, view.version, view.mark) == ("svc1", "web", 41, "r1")
    assert (view.update_state, view.update_message) == ("paused", "update paused due to failure")
    assert view.previous_spec == {"Name": "web"}


def test_a_service_that_never_changed_has_no_update_and_no_previous_spec() -> None:
    view = views.service_view({k: SERVICE[k] for k in ("ID", "Version", "Spec")})
    assert (view.update_state, view.update_message, view.previous_spec) == ("", "", None)


def test_a_failed_task_says_why() -> None:
    view = views.task_view(TASK, up_to_date=True)
    assert (view.state, view.desired, view.error, view.exit_code) == (
        "failed",
        "shutdown",
        "task: non-zero exit (3)",
        3,
    )
    assert (view.image, view.place, view.up_to_date) == ("registry:5000/app:v1@sha256:aa", "2", True)


@pytest.mark.parametrize("state", ["running", "starting", "preparing", "rejected"])
def test_a_task_that_has_not_run_to_an_end_has_no_exit_code(state: str) -> None:
    assert views.task_view(task(State=state), up_to_date=False).exit_code is None


def test_a_task_that_ended_without_a_container_has_no_exit_code() -> None:
    assert views.task_view(task(ContainerStatus=None), up_to_date=False).exit_code is None


def test_a_tasks_address_is_on_the_users_network_before_ingress() -> None:
    assert views.task_view(TASK, up_to_date=True).address == "10.0.1.7"
    only_ingress = {**TASK, "NetworksAttachments": TASK["NetworksAttachments"][:1]}
    assert views.task_view(only_ingress, up_to_date=True).address == "10.0.0.9"
    assert views.task_view({**TASK, "NetworksAttachments": None}, up_to_date=True).address == ""


def test_a_task_that_is_not_assigned_yet_is_a_task_all_the_same() -> None:
    raw = {"ID": "t2", "ServiceID": "svc1", "Slot": 1, "Spec": {}, "Status": {"State": "pending"}}
    view = views.task_view(raw, up_to_date=True)
    assert (view.node_id, view.image, view.at, view.address) == ("", "", "", "")


@given(st.lists(st.integers(0, 10**9 - 1), min_size=2, max_size=2))
def test_times_compare_as_text(nanoseconds: list[int]) -> None:
    def go(ns: int) -> str:  # time.RFC3339Nano: no trailing zeros, no bare point
        fraction = f".{ns:09d}".rstrip("0").rstrip(".")
        return f"2026-01-02T03:04:05{fraction}Z"

    a, b = nanoseconds
    assert (views.padded(go(a)) < views.padded(go(b))) == (a < b)


def test_a_node_is_what_its_spec_and_status_say() -> None:
    view = views.node_view(NODE)
    assert (view.id, view.name, view.state, view.availability) == ("n1", "node-1", "ready", "active")
    assert (view.address, view.role, view.engine_version) == ("10.1.0.1", "manager", "20.10.24")
    assert view.labels == {"zone": "a"}


@pytest.mark.parametrize("unknown", ["0.0.0.0", "", "127.0.0.1", None])
def test_the_leaders_own_address_is_taken_from_its_manager_address(unknown: str | None) -> None:
    assert views.node_view({**NODE, "Status": {"State": "ready", "Addr": unknown}}).address == "10.1.0.1"


def test_the_leaders_address_may_be_ipv6() -> None:
    raw = {**NODE, "Status": {"Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "[fd00::1]:2377"}}
    assert views.node_view(raw).address == "fd00::1"


def test_a_worker_without_an_address_has_none() -> None:
    assert views.node_view({**NODE, "Status": {}, "ManagerStatus": None}).address == ""


def test_platforms_are_those_that_the_docker_command_line_sets() -> None:
    resolved = views.resolved_image(
        {
            "Descriptor": {"digest": "sha256:aa", "size": 1},
            "Platforms": [
                {"architecture": "amd64", "os": "linux"},
                {"architecture": "arm", "os": "linux", "variant": "v7"},
                {"architecture": "arm64", "os": "linux", "variant": "v8"},
            ],
        }
    )
    assert resolved.digest == "sha256:aa"
    assert resolved.platforms == (
        {"Architecture": "amd64", "OS": "linux"},
        {"OS": "linux"},
        {"Architecture": "arm64", "OS": "linux"},
    )


def test_a_registry_that_names_no_platform_gives_none() -> None:
    assert views.resolved_image({"Descriptor": {"digest": "sha256:aa"}, "Platforms": None}).platforms == ()


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), min_size=1, max_size=6))
def test_frames_of_both_streams_come_in_their_order(frames: list[tuple[int, bytes]]) -> None:
    stream = b"".join(frame(*f) for f in frames)
    expected = b"".join(data for _, data in frames).decode("utf-8", "replace")
    assert views.demultiplexed(stream) == expected


def test_a_letter_split_over_two_frames_is_whole() -> None:
    letter = "ü".encode()
    assert views.demultiplexed(frame(1, letter[:1]) + frame(1, letter[1:])) == "ü"


def test_a_stream_cut_off_in_a_frame_gives_what_came() -> None:
    assert views.demultiplexed(frame(1, b"one\n") + frame(2, b"two\n")[:-2]) == "one\ntw"


def test_the_engines_own_word_on_logs_that_it_cannot_have_is_readable() -> None:
    stream = frame(1, b"one\n") + frame(3, b"Error grabbing logs: node w1 is not available")
    assert views.demultiplexed(stream) == "one\nError grabbing logs: node w1 is not available"
    assert views.demultiplexed(frame(3, b"Error grabbing logs")) == "Error grabbing logs"


def test_a_tty_sends_no_frames() -> None:
    assert views.demultiplexed(b"hello from a terminal\r\n") == "hello from a terminal\r\n"
    assert views.demultiplexed(b"") == ""


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=4), st.integers(1, 9))
def test_records_are_found_however_the_chunks_are_cut(wanted: list[dict[str, str]], size: int) -> None:
    import json

    data = "\r\n".join(json.dumps(w, ensure_ascii=False) for w in wanted).encode()
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(records(chunks)) == wanted


def test_half_a_record_at_the_end_is_dropped() -> None:
    assert list(records([b'{"a": 1}\n{"b":'])) == [{"a": 1}]
