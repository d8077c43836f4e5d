"""Signed deliveries per second, each committed before it is answered, beside Debian's ``webhook`` with an HMAC rule.

``wrk`` posts over 16 connections what GitHub sends for a push, 6 kB each, every one with an id, a body and a signature
of its own. Debian's ``webhook`` checks the same signature and runs ``/bin/true``; it keeps nothing. Ours is the whole
``nodewise up``, with its worker at work on what was accepted: on SQLite, and on a PostgreSQL that syncs its commits.
"Flask alone" is the same server with a route that checks the signature and keeps nothing: more is not to be had of it.
All in turn in one run, several times; medians.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests import postgres
from tests.bench.report import Bar, close
from tests.ports import free_port
from tests.product import ROOT, Product, wait_for

ROUNDS, SECONDS, CONNECTIONS = 3, 5, 16
BODY_BYTES = 6000
DELIVERIES = 50_000  # more than any side takes in one round
SECRET = "the-secret-of-the-benchmark"
SHORTFALL = 1.0  # ours may not be slower than theirs: their throughput over ours
SCRIPT = """
local file = io.open(os.getenv("DELIVERIES"))
function request()
  local id, signature, body = file:read("l"), file:read("l"), file:read("l")
  if body == nil then os.exit(3) end
  return wrk.format("POST", nil, {["Content-Type"] = "application/json", ["X-GitHub-Event"] = "push",
    ["X-GitHub-Delivery"] = id, ["X-Hub-Signature-256"] = "sha256=" .. signature}, body)
end
function done(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("figures %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(99), bad))
end
"""


@dataclass(frozen=True)
class Figures:
    """Deliveries per second, and the 99th percentile of their times in milliseconds."""

    rate: float
    p99: float


def main() -> int:
    found: dict[str, list[Figures]] = {"webhook": [], "Flask alone": [], "SQLite": [], "PostgreSQL": []}
    with tempfile.TemporaryDirectory() as name, postgres.running(durable=True) as server:
        folder = Path(name)
        for round_ in range(ROUNDS):
            with webhook(folder) as url:
                found["webhook"].append(measured(folder, url, f"w{round_}"))
            with flask_alone() as url:
                found["Flask alone"].append(measured(folder, url, f"f{round_}"))
            for kind, database in (("SQLite", ""), ("PostgreSQL", postgres.new_database(server, f"bench{round_}"))):
                with product(folder / f"{kind}{round_}", database) as ours:
                    found[kind].append(measured(folder, f"{ours.url}/hooks/github", f"{kind}{round_}"))
    for side, figures in found.items():
        rates, tails = [f.rate for f in figures], [f.p99 for f in figures]
        print(
            f"{side:<12} {statistics.median(rates):6.0f} deliveries/s ({min(rates):.0f} to {max(rates):.0f}),"
            f" p99 {statistics.median(tails):.1f} ms"
        )
    theirs = statistics.median(f.rate for f in found["webhook"])
    return close(
        [
            Bar(
                f"receiver on {kind}, webhook beside it",
                theirs / statistics.median(f.rate for f in found[kind]),
                "times",
                SHORTFALL,
            )
            for kind in ("SQLite", "PostgreSQL")
        ]
    )


def measured(folder: Path, url: str, name: str) -> Figures:
    """One run of wrk. Every answer has to be a 2xx."""
    script, file = folder / "post.lua", folder / "deliveries"
    script.write_text(SCRIPT)
    write_deliveries(file, name)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "10s", "-s", str(script), url]
    done = subprocess.run(command, env={"DELIVERIES": str(file)}, capture_output=True, text=True, check=False)
    match = re.search(r"figures (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert match, f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}"
    requests_, micros, p99, bad = map(int, match.groups())
    assert not bad, f"{bad} of {requests_} were not answered with 2xx"
    return Figures(requests_ / micros * 1e6, p99 / 1000)


def write_deliveries(file: Path, name: str) -> None:
    with file.open("w") as out:
        for number in range(DELIVERIES):
            body = push(f"{name}-{number}")
            out.write(
                f"{name}-{number}\n{hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()}\n{body}\n"
            )


def push(commit: str) -> str:
    """A push as GitHub tells it, padded to its usual size by the files that changed."""
    data: dict[str, Any] = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": commit,
        "head_commit": {"id": commit, "message": "Sell hats", "author": {"name": "Ada"}, "modified": []},
        "repository": {"full_name": "team/shop", "clone_url": "https://git.example/team/shop.git"},
    }
    missing = BODY_BYTES - len(json.dumps(data))
    data["head_commit"]["modified"] = ["src/hats/model.py"] * (missing // 21)
    return json.dumps(data)


@contextmanager
def webhook(folder: Path) -> Iterator[str]:
    """Debian's webhook, with the rule that its documentation shows for GitHub."""
    rule = {
        "type": "payload-hmac-sha256",
        "secret": SECRET,
        "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
    }
    hooks = folder / "hooks.json"
    hooks.write_text(json.dumps([{"id": "github", "execute-command": "/bin/true", "trigger-rule": {"match": rule}}]))
    port = free_port("127.0.0.1")
    with running("webhook", port, ["webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]) as url:
        yield url


@contextmanager
def flask_alone() -> Iterator[str]:
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "tests.bench.flask_alone", f"127.0.0.1:{port}", SECRET]
    with running("Flask alone", port, command) as url:
        yield url


@contextmanager
def running(name: str, port: int, command: list[str]) -> Iterator[str]:
    """The process until it is done with, and the address of its hook."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(name, lambda: answers(f"http://127.0.0.1:{port}/"), 30)
        yield f"http://127.0.0.1:{port}/hooks/github"
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        return bool(requests.get(url, timeout=2).status_code)
    except requests.RequestException:
        return False


@contextmanager
def product(folder: Path, database: str) -> Iterator[Product]:
    env = {"NODEWISE_DATABASE_URL": database} if database else {}
    hooks = {"github": {"provider": "github", "secrets": [SECRET]}}
    with Product(folder, ["unix:///var/run/no-such-engine.sock"], {"hooks": hooks}, **env) as running:
        yield running
