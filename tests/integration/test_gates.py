"""The gates, asked of real parts: an HTTP server, Prometheus, HAProxy."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodewise import gates
from nodewise.domain.steps import GatePlan, Place, Reading, Verdict
from nodewise.domain.swarm import NodeView, TaskView
from tests.integration.gate_parts import (
    HAProxy,
    Server,
    dripping,
    has_scraped,
    missing,
    need,
    prometheus,
    serving,
    trusted_nowhere,
)
from tests.product import free_port, wait_for

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
NODE = NodeView("n1", "node1", "ready", "active", "127.0.0.1")
IMAGE = "reg:5000/web:1.2@sha256:ab"


def task(number: int, address: str = "127.0.0.1") -> TaskView:
    return TaskView(f"t{number}", "s1", "n1", number, "running", "running", IMAGE, True, address=address)


PLACE = Place(NODE, (task(1),), 5.0, service="web", rollout_id="r-1", image=IMAGE)


def read(name: str, place: Place = PLACE, **config: object) -> Reading:
    found = gates.read(GatePlan(name, 1.0, 1, 1, {"timeout": 10.0, **config}), place)
    assert (found.gate, found.node_id, found.at) == (name, place.node.id, place.now)
    return found


# -- http ------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.mark.parametrize(
    ("path", "config", "verdict", "said"),
    [
        ("ok", {}, PASS, "/ok: 200"),
        ("ok", {"body": "(?i)ALL.*here$"}, PASS, "/ok: 200, matches '(?i)ALL.*here$'"),
        ("ok", {"body": "absent"}, FAIL, "/ok: 200, but nothing in it matches 'absent'"),
        ("ok", {"latency": 9.0}, PASS, "/ok: 200, in "),
        ("slow", {"latency": 0.1}, FAIL, "slower than 0.1 s"),
        ("bad", {}, FAIL, "/bad: 500, allowed is 200-299"),
        ("bad", {"status": "500"}, PASS, "/bad: 500"),
        ("moved", {}, FAIL, "/moved: 302, allowed is 200-299 (redirects are not followed)"),
        ("moved", {"status": "302"}, PASS, "/moved: 302"),
        ("latin", {"body": "ready"}, PASS, "/latin: 200"),
        ("late_word", {"body": "read?"}, FAIL, "nothing in it matches"),
        ("torn", {"body": "half"}, FAIL, "/torn: 200, but broken off"),
        ("torn", {}, PASS, "/torn: 200"),
    ],
)
def test_an_answer_is_judged_by_status_words_and_time(server: Server, path, config, verdict, said):
    found = read("http", url=f"http://{{node}}:{server.port}/{path}", **config)
    assert (found.verdict, found.reached) == (verdict, True)
    assert said in found.detail


def test_a_redirect_is_not_followed(server: Server):
    read("http", url=f"{server.url}/moved")
    assert server.seen == ["/moved"]


@pytest.mark.parametrize(
    ("path", "config", "reached"),
    [("drip", {"body": "y"}, True), ("drip", {"latency": 9}, True), ("drip_head", {}, False)],
)
def test_a_server_that_drips_holds_nobody_beyond_the_timeout(server: Server, path, config, reached):
    """Each of its bytes comes in time; the whole never does, and the connection is cut."""
    found = read("http", url=f"{server.url}/{path}", timeout=1.0, **config)
    assert (found.verdict, found.reached) == (FAIL, reached)
    assert "within 1 s" in found.detail
    wait_for("the connection to be cut", server.left.is_set, 10)


def test_a_body_that_nobody_asked_about_is_not_waited_for(server: Server):
    assert read("http", url=f"{server.url}/drip").verdict is PASS


def test_no_connection_is_a_failure_that_has_not_been_reached(server: Server):
    for url, said in (
        (f"http://{{node}}:{free_port()}/", "no connection"),
        (f"{server.url}/gone", "the connection ended without an answer"),
    ):
        found = read("http", url=url)
        assert (found.verdict, found.reached, found.detail.endswith(said)) == (FAIL, False, True), found.detail


def test_a_name_that_nobody_knows_is_told(monkeypatch):
    def nobody(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert read("http", url="http://web.test/").detail == "GET http://web.test/: no host of that name"


@pytest.mark.parametrize("url", ["http://" + "a" * 80 + ".test/", "http://{node_name}..x/", "http://[::1/"])
def test_a_name_that_no_host_can_have_is_a_reading_too(url):
    assert (read("http", url=url).verdict, read("http", url=url).reached) == (FAIL, False)


def test_a_login_is_used_and_not_told(server: Server):
    found = read("http", url=f"http://me:hunter2@127.0.0.1:{server.port}/login")
    assert found.verdict is PASS
    assert "hunter2" not in found.detail


def test_a_certificate_is_checked_and_a_drip_through_tls_is_cut_as_well(server: Server, monkeypatch):
    need("openssl")
    with trusted_nowhere(server) as certificate:
        url = f"https://127.0.0.1:{server.port}"
        stranger = read("http", url=f"{url}/ok")
        assert (stranger.verdict, stranger.reached, "no trust" in stranger.detail) == (FAIL, True, True)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert read("http", url=f"{url}/ok").verdict is PASS
        assert "within 0.3 s" in read("http", url=f"{url}/drip_head", timeout=0.3).detail
        wait_for("the connection to be cut", server.left.is_set, 10)


def test_names_are_filled_in(server: Server):
    url = f"{server.url}/ok?s={{service}}&n={{node_name}}&i={{image}}&r={{rollout}}"
    assert read("http", url=url).verdict is PASS
    assert server.seen == ["/ok?s=web&n=node1&i=reg:5000%2Fweb:1.2%40sha256:ab&r=r-1"]


def test_every_task_is_asked_side_by_side(server: Server):
    """Neither is answered before the other has asked."""
    with serving("127.0.0.2", server.port) as other:
        other.together = server.together
        place = replace(PLACE, tasks=(task(1), task(2, "127.0.0.2")))
        found = read("http", place, url=f"http://{{task}}:{server.port}/together")
    assert (found.verdict, found.detail[:11]) == (PASS, "2 of 2 task")


def test_the_worst_task_counts(server: Server):
    place = replace(PLACE, tasks=(task(1), task(2, "127.0.0.2"), task(3)))
    found = read("http", place, url=f"http://{{task}}:{server.port}/ok")
    assert (found.verdict, found.reached, found.task_id) == (FAIL, False, "t2")
    assert found.detail == f"1 of 3 tasks: GET http://127.0.0.2:{server.port}/ok: no connection"


def test_a_task_without_a_network_of_its_own_cannot_be_asked():
    found = read("http", replace(PLACE, tasks=(task(1, ""),)), url="http://{task}:80/")
    assert (found.verdict, "t1 has no address" in found.detail) == (INCONCLUSIVE, True)


# -- edge ------------------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="nodewise-edge-") as name:
        yield Path(name)


@pytest.fixture
def edge(server: Server, folder: Path) -> Iterator[HAProxy]:
    """node1 is the application; node2 has nothing behind it."""
    need("haproxy")
    with HAProxy(folder, {"node1": server.port, "node2": free_port()}).running() as running:
        running.wait_state("node1", "UP")
        running.wait_state("node2", "DOWN")
        yield running


def read_edge(edge: HAProxy, memo: str = "", name: str = "node1", **config: object) -> Reading:
    """Loopback is every server's address here, so the node is known by its name alone."""
    place = replace(PLACE, node=replace(NODE, name=name, address="10.0.0.1"), tasks=(), memo=memo)
    return read("edge", place, **{"address": edge.unix, "backend": "web", **config})


def test_a_server_that_is_up_passes_and_its_requests_are_counted_from_then_on(edge: HAProxy):
    edge.get("/bad", times=5)
    first = read_edge(edge)
    assert (first.verdict, first.detail) == (PASS, "server web/node1 is UP; its requests are counted from now on")
    quiet = read_edge(edge, first.memo, address=edge.tcp)
    assert (quiet.verdict, quiet.detail) == (PASS, "server web/node1 is UP, with no request since the last reading")
    edge.get("/ok", times=3)
    good = read_edge(edge, quiet.memo)
    assert (good.verdict, "0 of 3 requests failed" in good.detail) == (PASS, True), good.detail


def test_too_large_a_share_of_errors_fails_and_silence_does_not_mend_it(edge: HAProxy):
    first = read_edge(edge)
    assert edge.get("/ok", times=2) + edge.get("/bad", times=2) == [200, 200, 500, 500]
    assert read_edge(edge, first.memo, max_errors=0.5).verdict is PASS
    bad = read_edge(edge, first.memo, max_errors=0.4)
    assert (bad.verdict, bad.reached) == (FAIL, True)
    assert "is UP, but 2 of 4 requests failed since the last reading (0.5, more than 0.4)" in bad.detail
    silent = read_edge(edge, bad.memo)
    assert (silent.verdict, "too many failed" in silent.detail) == (INCONCLUSIVE, True)
    assert read_edge(edge, silent.memo).verdict is INCONCLUSIVE
    edge.get("/ok")
    assert read_edge(edge, silent.memo).verdict is PASS


def test_what_another_server_had_to_take_over_is_an_error_of_the_first(server: Server, folder: Path):
    """With redispatch nothing reaches the client, and a server without checks is never DOWN."""
    need("haproxy")
    servers = {"node1": free_port(), "node2": server.port}
    with HAProxy(folder, servers, check=False, defaults="option redispatch 1").running() as edge:
        first, other = read_edge(edge), read_edge(edge, name="node2")
        assert first.detail.startswith("server web/node1 is no check;")
        assert edge.get("/ok", times=4) == [200] * 4
        found, well = read_edge(edge, first.memo), read_edge(edge, other.memo, name="node2")
    assert (found.verdict, "requests failed since the last reading (1," in found.detail) == (FAIL, True), found.detail
    assert (well.verdict, "0 of 4 requests failed" in well.detail) == (PASS, True), well.detail


def test_a_refused_connection_is_counted_once_however_often_it_was_retried(folder: Path):
    need("haproxy")
    with HAProxy(folder, {"node1": free_port()}, check=False, defaults="retries 1").running() as edge:
        first = read_edge(edge)
        assert edge.get("/ok") == [503]
        found = read_edge(edge, first.memo)
    assert (found.verdict, "1 of 1 requests failed" in found.detail) == (FAIL, True), found.detail


def test_a_server_that_is_down_fails_and_may_still_be_taken_up(edge: HAProxy):
    found = read_edge(edge, name="node2")
    assert (found.verdict, found.reached) == (FAIL, False)
    assert found.detail == "server web/node2 is DOWN (Layer4 connection problem)"


@pytest.mark.parametrize("state", ["maint", "drain"])
def test_a_server_that_a_person_took_out_is_inconclusive(edge: HAProxy, state):
    edge.command(f"set server web/node1 state {state}")
    found = read_edge(edge)
    assert (found.verdict, state.upper() in found.detail) == (INCONCLUSIVE, True), found.detail


def test_counters_that_went_backwards_start_anew(server: Server, folder: Path):
    need("haproxy")
    edge = HAProxy(folder, {"node1": server.port})
    with edge.running():
        edge.get("/ok", times=3)
        first = read_edge(edge)
    with edge.running():
        found = read_edge(edge, first.memo)
        assert (found.verdict, "began anew" in found.detail) == (PASS, True), found.detail
        edge.get("/bad")
        assert read_edge(edge, found.memo).verdict is FAIL


@pytest.mark.parametrize("address", ["node", "task"])
def test_a_server_is_found_by_the_address_of_the_node_or_of_a_task(edge: HAProxy, address):
    """Both servers are at that address here, so the one that is DOWN counts."""
    node = replace(NODE, name="other", address="127.0.0.1" if address == "node" else "10.0.0.1")
    place = replace(PLACE, node=node, tasks=(task(1, "127.0.0.1" if address == "task" else "10.1.0.5"),))
    found = read("edge", place, address=edge.tcp, backend="web")
    assert (found.verdict, "web/node2 is DOWN" in found.detail) == (FAIL, True), found.detail


def test_without_a_server_of_the_node_or_a_backend_of_that_name_nothing_is_concluded(edge: HAProxy):
    nobody = read_edge(edge, name="node9")
    assert (nobody.verdict, "no server in backend web has this node's name" in nobody.detail) == (INCONCLUSIVE, True)
    nowhere = read_edge(edge, backend="shop")
    assert (nowhere.verdict, "backend shop: it answers 'No such proxy.'" in nowhere.detail) == (INCONCLUSIVE, True)


def test_a_socket_that_does_not_answer_is_inconclusive_and_the_counters_are_kept(folder: Path):
    memo = '{"node1":[3,1,false]}'
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address, said in (
            (f"unix://{folder}/none", "no connection (No such file or directory)"),
            (f"tcp://127.0.0.1:{free_port()}", "no connection (Connection refused)"),
            (mute, "no whole answer within 0.3 s"),
        ):
            timeout = 0.3 if address == mute else 10.0
            found = read("edge", replace(PLACE, memo=memo), address=address, backend="web", timeout=timeout)
            assert (found.verdict, found.memo) == (INCONCLUSIVE, memo)
            assert found.detail == f"HAProxy {address}, backend web: {said}"


def test_a_socket_that_drips_holds_nobody_beyond_the_timeout():
    with dripping() as (port, left):
        found = read("edge", address=f"tcp://127.0.0.1:{port}", backend="web", timeout=0.3)
        assert (found.verdict, "no whole answer within 0.3 s" in found.detail) == (INCONCLUSIVE, True), found.detail
        wait_for("the connection to be cut", left.is_set, 10)


# -- prometheus ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _prometheus() -> Iterator[str]:
    """Started with the first test of this file, so that it has scraped by the time it is asked."""
    if missing("prometheus"):
        yield ""
        return
    with prometheus() as url:
        yield url


@pytest.fixture(scope="module")
def metrics(_prometheus: str) -> str:
    need("prometheus")
    wait_for("Prometheus to have scraped the application", lambda: has_scraped(_prometheus), 30)
    return _prometheus


def at_node(number: int) -> Place:
    return replace(PLACE, node=replace(NODE, address=f"10.0.0.{number}"), tasks=(task(1, "10.1.0.5"),))


ERRORS = 'web_errors{service="{service}",node="{node}"}'


@pytest.mark.parametrize(
    ("node", "query", "bounds", "verdict", "said"),
    [
        (1, "scalar(web_build) * 2", {"min": 14, "max": 14}, PASS, "is 14, within min 14 and max 14"),
        (1, ERRORS, {"max": 0.05}, PASS, 'is 0.04 for {__name__="web_errors", instance="b", job="app"'),
        (2, ERRORS, {"max": 0.05}, FAIL, "above the max of 0.05 (1 of 2 samples)"),
        (2, ERRORS, {"min": 0.2}, FAIL, "below the min of 0.2 (1 of 2 samples)"),
        (3, ERRORS, {"max": 0.05}, INCONCLUSIVE, "is nan"),
        (3, f"({ERRORS}) >= 0 or vector(0)", {"max": 0.05}, PASS, "is 0, within max 0.05"),
        (4, f"({ERRORS}) >= 0 or vector(0)", {"max": 0.05}, PASS, "is 0, within max 0.05"),
        (1, 'web_errors{service="web"}', {"max": 0.6}, INCONCLUSIVE, "(1 of 5 samples)"),
        (4, ERRORS, {"max": 0.05}, INCONCLUSIVE, "no data"),
        (1, "vector(1) / 0", {"max": 9}, FAIL, "is inf, above the max of 9"),
        (1, 'web_build{tag="{tag}",digest="{digest}",rollout="{rollout}"}', {"min": 7}, PASS, "is 7"),
        (1, 'web_build{task="{task}",node_name="{node_name}"}', {"min": 7}, PASS, "is 7"),
        (1, 'label_replace(web_build, "i", "{image}", "", "")', {"min": 7}, PASS, 'i="reg:5000/web:1.2@sha256:ab"'),
        (1, "web_build[1m]", {"max": 9}, INCONCLUSIVE, "gives a matrix"),
        (1, '"seven"', {"max": 9}, INCONCLUSIVE, "gives a string"),
        (1, "web_build{", {"max": 9}, INCONCLUSIVE, "bad_data: "),
        (1, "web_build", {}, INCONCLUSIVE, "no bound"),
    ],
)
def test_what_a_query_gives_is_compared_with_the_bounds(metrics: str, node, query, bounds, verdict, said):
    found = read("prometheus", at_node(node), url=f"{metrics}/", query=query, **bounds)
    assert (found.verdict, said in found.detail) == (verdict, True), found.detail


def test_a_server_that_cannot_be_asked_is_inconclusive(server: Server):
    for url, said in (
        (f"http://me:hunter2@127.0.0.1:{free_port()}", "no connection"),
        (f"{server.url}/bad", "answers 500 and no result of a query"),
        (f"{server.url}/ok", "answers 200 and no result of a query"),
        (f"{server.url}/moved", "answers 302 and no result of a query"),
        (f"{server.url}/drip", "not whole within 1 s"),
    ):
        found = read("prometheus", url=url, query="up", max=1, timeout=1.0 if "drip" in url else 10.0)
        assert (found.verdict, said in found.detail) == (INCONCLUSIVE, True), found.detail
        assert "hunter2" not in found.detail


def test_the_login_for_a_server_comes_from_a_netrc_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The address itself holds none, since plans keep it; requests looks into the file that NETRC names."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    assert "answers 401" in read("prometheus", url=f"{server.url}/login", query="up", max=1).detail
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "answers 200" in read("prometheus", url=f"{server.url}/login", query="up", max=1).detail
