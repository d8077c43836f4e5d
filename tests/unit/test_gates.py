"""The gates' own judgement, and the labels that ask for them: without a network."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nodewise import gates
from nodewise.config.edge_address import parse_address
from nodewise.config.labels import read_labels
from nodewise.domain.errors import GiveUp
from nodewise.domain.placeholders import NAMES, fill
from nodewise.domain.steps import GatePlan, Place, Verdict
from nodewise.domain.swarm import NodeView
from nodewise.gates import edge, http, prometheus
from nodewise.gates._haproxy import NoAnswer, Server, parse
from nodewise.gates._web import Answer
from tests.unit.swarm_values import NEW, NODES, task

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
PLACE = Place(NODES["n1"], (task(1),), 1.0, service="web", rollout_id="r-1", image=f"reg:5000/web:1@{NEW}")
UNHEALTHY = "task: non-zero exit (137): dockerexec: unhealthy container"


def test_there_is_no_gate_without_a_file_of_its_own():
    with pytest.raises(GiveUp, match="'teapot'"):
        gates.gate("teapot")


# -- container -------------------------------------------------------------------------------------


def container(*tasks, failed=(), **config):
    found = gates.read(GatePlan("container", 0.0, 1, 1, config), replace(PLACE, tasks=tasks, failed=failed))
    return found.verdict, found.detail, found.task_id


def ended(number, **changes):
    values = {"id": f"f{number}", "state": "failed", "desired": "shutdown", "at": f"2026-01-01T00:00:0{number}"}
    return task(1, **(values | {"error": "task: non-zero exit (1)"} | changes))


def test_a_node_passes_when_every_task_of_it_runs():
    assert container(task(1), task(2)) == (PASS, "2 running", "t1new")


def test_a_task_on_its_way_is_inconclusive_and_so_is_none():
    assert container(task(1), task(2, state="starting")) == (INCONCLUSIVE, "1 running, one starting", "t2new")
    assert container() == (INCONCLUSIVE, "0 running", "")


def test_restarts_below_the_limit_are_told_and_the_limit_is_a_loop():
    last = ended(3, error=UNHEALTHY)
    told = f"1 running, 2 restarts, the last for: {UNHEALTHY}"
    assert container(task(1), failed=(last, ended(1))) == (PASS, told, "t1new")
    verdict, detail, task_id = container(task(1), failed=(ended(1), last, ended(2)))
    assert (verdict, detail) == (FAIL, f"restart loop: 1 running, 3 restarts, the last for: {UNHEALTHY}")
    assert task_id == "f3"


def test_the_limit_of_restarts_is_configured():
    assert container(task(1), failed=(ended(1),), restarts=1)[0] is FAIL
    assert container(task(1), failed=(ended(1), ended(2), ended(3)), restarts=4)[0] is PASS


def test_a_loop_fails_even_while_the_next_try_is_on_its_way():
    assert container(task(1, state="starting"), failed=(ended(1),), restarts=1)[0] is FAIL


def test_a_task_that_gives_no_reason_is_told_by_how_it_ended():
    bare = ended(1, error="", exit_code=0, state="complete")
    assert container(task(1), failed=(bare,))[1] == "1 running, 1 restart, the last for: complete, exit code 0"
    assert container(task(1), failed=(replace(bare, exit_code=None),))[1].endswith("for: complete")


# -- placeholders ----------------------------------------------------------------------------------


def test_every_placeholder_stands_for_something():
    place = replace(PLACE, tasks=(task(1, address="10.1.0.5"),))
    assert fill(" ".join(f"{{{name}}}" for name in NAMES), place, place.tasks[0], str).split() == [
        "10.0.0.1",
        "node1",
        "10.1.0.5",
        "web",
        f"reg:5000/web:1@{NEW}",
        "1",
        NEW,
        "r-1",
    ]


def test_other_braces_are_left_alone_and_a_value_is_not_filled_in_again():
    place = replace(PLACE, node=replace(PLACE.node, name="{service}"))
    assert fill('up{job="{node_name}", x="{unknown}"}', place, None, str) == 'up{job="{service}", x="{unknown}"}'


def test_an_ipv6_address_stands_in_brackets_and_an_image_may_have_no_tag():
    place = replace(PLACE, node=NodeView("n1", "node1", "ready", "active", "fd00::1"), image=f"reg:5000/web@{NEW}")
    assert fill("{node}:80 {tag}{digest}", place, None, str) == f"[fd00::1]:80 {NEW}"


# -- http ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "answer", "wrong"),
    [
        ({}, Answer(204, b"", 1.0), ""),
        ({"status": "200-299,404"}, Answer(404, b"", 1.0), ""),
        ({"status": "200"}, Answer(201, b"", 1.0), ", allowed is 200"),
        ({"body": "^ok$"}, Answer(200, b"ok", 1.0), ""),
        ({"body": "^ok$"}, Answer(200, b"oko", 1.0), ", but nothing in it matches '^ok$'"),
        ({"latency": 1.0}, Answer(200, b"", 1.0), ""),
        ({"latency": 1.0}, Answer(200, b"", 1.2345), ", but after 1.23 s, slower than 1 s"),
        ({"latency": 1.0, "body": "x"}, Answer(500, b"", 9.0), ", allowed is 200-299"),
    ],
)
def test_the_first_thing_that_is_wrong_with_an_answer_is_told(config, answer, wrong):
    assert http.complaint(config, answer) == wrong


# -- prometheus ------------------------------------------------------------------------------------


def vector(*values):
    result = [{"metric": {"i": str(n)}, "value": [1.0, v]} for n, v in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.mark.parametrize(
    ("values", "low", "high", "verdict", "said"),
    [
        (["0.05"], None, 0.05, PASS, 'q is 0.05 for {i="0"}, within max 0.05'),
        (["0.0500001"], None, 0.05, FAIL, 'q is 0.0500001 for {i="0"}, above the max of 0.05'),
        (["1"], 1.0, None, PASS, 'q is 1 for {i="0"}, within min 1'),
        (["0"], 1.0, 2.0, FAIL, 'q is 0 for {i="0"}, below the min of 1'),
        (["5", "9", "7"], 4.0, 6.0, FAIL, 'q is 9 for {i="1"}, above the max of 6 (2 of 3 samples)'),
        (["1", "9", "0"], 1.0, 20.0, FAIL, 'q is 0 for {i="2"}, below the min of 1 (1 of 3 samples)'),
        (["1", "3"], None, 4.0, PASS, 'q is 3 for {i="1"}, within max 4 (2 of 2 samples)'),
        (["NaN"], None, 1.0, INCONCLUSIVE, 'q is nan for {i="0"}'),
        (["0", "NaN"], None, 1.0, INCONCLUSIVE, 'q is nan for {i="1"} (1 of 2 samples)'),
        (["NaN", "2"], None, 1.0, FAIL, 'q is 2 for {i="1"}, above the max of 1 (1 of 2 samples)'),
        (["+Inf"], None, 1.0, FAIL, 'q is inf for {i="0"}, above the max of 1'),
        (["-Inf"], None, 1.0, PASS, 'q is -inf for {i="0"}, within max 1'),
        (["1"], None, None, INCONCLUSIVE, 'q is 1 for {i="0"}, but there is no bound to compare it with'),
    ],
)
def test_every_sample_must_hold_and_the_worst_is_told(values, low, high, verdict, said):
    found = prometheus.judge("q", prometheus.samples_of(vector(*values)), low, high)
    assert (found.verdict, found.detail) == (verdict, said)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (vector(), "no data"),
        ({"status": "error", "errorType": "execution", "error": "too  many\nsamples"}, "execution: too many samples"),
        ({"status": "success", "data": {"resultType": "matrix", "result": [{}]}}, "gives a matrix"),
        (
            {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}},
            "gives a histogram",
        ),
    ],
)
def test_an_answer_with_nothing_to_compare_says_why(answer, why):
    with pytest.raises(prometheus.Unusable) as error:
        prometheus.samples_of(answer)
    assert why in str(error.value)


def test_a_scalar_is_a_sample_without_labels():
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "3"]}}
    assert prometheus.judge("q", prometheus.samples_of(scalar), None, 3.0).detail == "q is 3, within max 3"


# -- edge ------------------------------------------------------------------------------------------

STAT = """\
# pxname,svname,stot,econ,eresp,wretr,wredis,status,hrsp_5xx,check_desc,
web,node1,12,1,2,3,4,UP,1,Layer7 check passed,
web,odd,5,,,,,no check,,"He said ""no"", twice",

"""
STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state
2 web 1 node1 10.0.0.1 2
2 web 2 odd - 2

"""


def test_the_socket_s_answers_are_read_by_their_columns_names():
    assert parse(STAT + STATE) == [
        Server("node1", "10.0.0.1", "UP", "Layer7 check passed", requests=9, errors=8),
        Server("odd", "", "no check", 'He said "no", twice', requests=5, errors=0),
    ]


def test_statistics_alone_will_do_where_the_socket_tells_no_addresses():
    assert [s.address for s in parse(STAT + "Permission denied\n\n")] == ["", ""]


@pytest.mark.parametrize(("answer", "said"), [("", "'nothing'"), ("No such proxy.\n\n", "'No such proxy.'")])
def test_an_answer_without_statistics_is_none(answer, said):
    with pytest.raises(NoAnswer, match=said):
        parse(answer)


def server(status="UP", requests=0, errors=0, **changes):
    return Server("s", changes.get("address", ""), status, changes.get("check", ""), requests, errors)


BEFORE = edge.Counted(100, 50)


@pytest.mark.parametrize(
    ("found", "before", "verdict", "said"),
    [
        (server(), None, PASS, "counted from now on"),
        (server("no check"), None, PASS, "is no check; its requests"),
        (server("UP 2/3"), None, INCONCLUSIVE, "have begun to fail"),
        (server("DOWN 1/2", check="Layer4 timeout"), None, FAIL, "is DOWN 1/2 (Layer4 timeout)"),
        (server("DOWN (agent)"), None, FAIL, "is DOWN (agent)"),
        (server("MAINT (via web/x)"), None, INCONCLUSIVE, "takes no new requests"),
        (server("DRAIN"), None, INCONCLUSIVE, "takes no new requests"),
        (server("NOLB 1/3"), None, INCONCLUSIVE, "takes no new requests"),
        (server("UP", 120, 51), BEFORE, PASS, "1 of 20 requests failed since the last reading (0.05, at most 0.05)"),
        (server("UP", 120, 52), BEFORE, FAIL, "2 of 20 requests failed since the last reading (0.1, more than 0.05)"),
        (server("UP", 100, 50), BEFORE, PASS, "no request since the last reading"),
        (server("UP", 100, 50), replace(BEFORE, failing=True), INCONCLUSIVE, "no request since too many failed"),
        (server("UP", 3, 3), BEFORE, PASS, "began anew"),
        (server("UP", 200, 3), BEFORE, PASS, "began anew"),
    ],
)
def test_state_comes_before_counters_and_both_count(found, before, verdict, said):
    finding = edge.judge("web/s", found, before, 0.05)
    assert (finding.verdict, said in finding.detail) == (verdict, True), finding.detail
    assert finding.reached is not found.status.startswith("DOWN")


def test_a_server_is_here_by_name_by_the_node_s_address_or_by_a_task_s():
    place = replace(PLACE, tasks=(task(1, address="10.1.0.5"), task(2, address="")))
    names = [Server(n, a, "UP", "", 0, 0) for n, a in (("node1", "x"), ("a", "10.0.0.1"), ("b", "10.1.0.5"), ("c", ""))]
    assert [s.name for s in names if edge.is_here(s, place)] == ["node1", "a", "b"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tcp://10.0.0.5:9999/web", ("tcp://10.0.0.5:9999", "web")),
        ("tcp://[fd00::5]:9999/web_1.b:c", ("tcp://[fd00::5]:9999", "web_1.b:c")),
        ("unix:///run/haproxy/admin.sock#web", ("unix:///run/haproxy/admin.sock", "web")),
    ],
)
def test_one_text_names_socket_and_backend(text, parts):
    assert parse_address(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "10.0.0.5:9999/web",
        "tcp://10.0.0.5/web",
        "tcp://10.0.0.5:0/web",
        "tcp://10.0.0.5:99999/web",
        "tcp://:9999/web",
        "tcp://10.0.0.5:9999",
        "tcp://10.0.0.5:9999/",
        "tcp://10.0.0.5:9999/web#x",
        "tcp://me:secret@10.0.0.5:9999/web",
        "tcp://10.0.0.5:9999/web;disable server web/a",
        "tcp://10.0.0.5:9999/web%0ashutdown",
        "unix:///run/admin.sock",
        "unix://run/admin.sock#web",
        "unix:///run/admin.sock#web servers",
        "unix:///" + "a" * 107 + "#web",
        "http://10.0.0.5:9999/web",
    ],
)
def test_what_names_no_socket_or_could_be_another_command_is_refused(text):
    with pytest.raises(ValueError):
        parse_address(text)


# -- labels ----------------------------------------------------------------------------------------

PROMETHEUS = {"nodewise.gate.prometheus.query": "up", "nodewise.gate.prometheus.max": "1"}
SERVER = {"gate.prometheus.url": "http://prom:9090"}


def test_each_gate_that_a_label_asks_for_is_planned_in_a_fixed_order():
    labels = read_labels(
        {
            "nodewise.gate.edge": "tcp://10.0.0.5:9999/web",
            "nodewise.gate.edge.errors": "2.5%",
            "nodewise.gate.prometheus.min": "-1",
            "nodewise.gate.prometheus.failures": "9",
            **PROMETHEUS,
            "nodewise.gate.http.url": "http://{node}:80/",
            "nodewise.gate.http.body": "ok",
            "nodewise.gate.http.latency": "250ms",
            "nodewise.gate.container.restarts": "5",
        },
        SERVER,
    )
    assert (labels.problems, labels.not_yet, labels.restarts) == ((), (), 5)
    assert labels.gates == (
        GatePlan(
            "http",
            1.0,
            2,
            3,
            {"url": "http://{node}:80/", "status": "200-299", "body": "ok", "latency": 0.25, "timeout": 2.0},
        ),
        GatePlan(
            "prometheus", 5.0, 2, 9, {"url": "http://prom:9090", "query": "up", "min": -1.0, "max": 1.0, "timeout": 5.0}
        ),
        GatePlan(
            "edge", 2.0, 2, 3, {"address": "tcp://10.0.0.5:9999", "backend": "web", "max_errors": 0.025, "timeout": 2.0}
        ),
    )
    assert json.loads(json.dumps([dict(g.config) for g in labels.gates])) == [dict(g.config) for g in labels.gates]


def test_without_labels_there_is_no_gate_but_the_container_gate():
    assert (read_labels({}, SERVER).gates, read_labels({}, {}).restarts) == ((), 3)


@pytest.mark.parametrize(
    ("labels", "defaults", "label", "way_out"),
    [
        ({"query": "up"}, SERVER, "query", "nodewise.gate.prometheus.max or .min"),
        ({"query": "up", "min": "1"}, {}, "query", "NODEWISE_PROMETHEUS_URL"),
        ({"query": "up", "max": "nan"}, SERVER, "max", "a number"),
        ({"query": "up", "max": "1", "min": "2"}, SERVER, "min", "up to that of nodewise.gate.prometheus.max"),
        ({"query": "up", "max": "1", "url": "prom:9090"}, {}, "url", "http(s)://HOST:PORT"),
    ],
)
def test_a_query_that_cannot_be_judged_is_a_problem_with_the_way_out(labels, defaults, label, way_out):
    found = read_labels({f"nodewise.gate.prometheus.{k}": v for k, v in labels.items()}, defaults)
    (problem,) = found.problems
    assert (problem.label, way_out in problem.allowed) == (f"nodewise.gate.prometheus.{label}", True), problem.allowed
    assert (problem.value, found.gates) == (labels[label], ())


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("http.body", "(", "unterminated subpattern"),
        ("http.body", " ", "a regular expression"),
        ("http.url", "http://{nod}/", "{nod} is not filled in"),
        ("http.url", "http:///path", "an http(s) URL"),
        ("http.latency", "0s", "a duration"),
        ("container.restarts", "0", "a number from 1"),
        ("edge", "/run/haproxy.sock", "unix:///PATH#BACKEND"),
        ("edge.errors", "5", "a share such as 0.05 or 5%"),
        ("edge.errors", "nan", "a share such as 0.05 or 5%"),
    ],
)
def test_a_wrong_label_of_a_gate_is_a_problem(label, value, said):
    (problem,) = read_labels({f"nodewise.gate.{label}": value}, {}).problems
    assert said in problem.allowed


def test_a_login_in_an_address_that_is_refused_is_not_told():
    (problem,) = read_labels({}, {"gate.prometheus.url": "http://me:hunter2@prom:9090"}).problems
    assert problem.value == "http://prom:9090"
