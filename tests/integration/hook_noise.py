"""What may come to a hook: bodies and headers that somebody meant, half meant, or never did."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import strategies as st

from tests.unit.providers.anything import ANYTHING, spoiled
from tests.unit.providers.noise import LATIN
from tests.unit.providers.parts import DATA

AWKWARD = (
    b"",
    b"null",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    '{"ref": "é"}'.encode("latin-1"),
    b'{"ref": "\xed\xa0\x80"}',
    b'{"id": "\\u0000", "ref": "\\ud800", "source": "\\udfff"}',
    b'{"id": 1' + b"0" * 5000 + b"}",
    b'{"truncatedAlerts": 1' + b"0" * 4000 + b', "alerts": []}',
    b'{"id": NaN, "ref": 1e999, "tag": -Infinity}',
    b"[" * 40_000,
    b'{"events": ' * 4_000 + b"1" + b"}" * 4_000,
    b'{"message": ' * 900 + b"{}" + b"}" * 900,
    b"payload=%7B%7D",
    b"payload=%ff%00&payload=%7B",
    b"a=1&" * 10_000,
    gzip.compress(b"{}"),
)
TAILS = ("\0", "\ud800", "\udfff", "\u202e\n\x1b[2J", "'; DROP TABLE deliveries; --", "%s {url}", "x" * 300)
EVENTS = {
    "bitbucket-cloud": {"X-Event-Key": ("repo:push",)},
    "bitbucket-server": {"X-Event-Key": ("repo:refs_changed", "diagnostics:ping")},
    "forgejo": {"X-Forgejo-Event": ("push", "delete", "package", "create")},
    "gitea": {"X-Gitea-Event": ("push", "delete", "package", "create")},
    "github": {"X-GitHub-Event": ("push", "package", "registry_package", "ping")},
    "gitlab": {"X-Gitlab-Event": ("Push Hook", "Tag Push Hook", "System Hook")},
    "gogs": {"X-Gogs-Event": ("push", "delete", "create")},
    "nexus": {"X-Nexus-Webhook-Id": ("rm:repository:asset", "rm:repository:component")},
    "zot": {"Ce-Type": ("zotregistry.image.updated", "zotregistry.image.deleted")},
    "cloudevents": {
        "Ce-Type": ("example.image.pushed", "another"),
        "Ce-Specversion": ("1.0", "0.3", "2"),
        "Ce-Source": ("/somewhere",),
        "Ce-Id": ("1",),
        "Content-Type": ("application/cloudevents+json", "application/json"),
    },
}
IDS = (
    "Ce-Id",
    "Ce-Source",
    "Ce-Subject",
    "Ce-Time",
    "Idempotency-Key",
    "X-Forgejo-Delivery",
    "X-GitHub-Delivery",
    "X-Gitea-Delivery",
    "X-Gogs-Delivery",
    "X-Goog-Pubsub-Message-Id",
    "X-Nexus-Webhook-Delivery",
    "X-Request-Id",
    "X-Request-UUID",
    "webhook-id",
)
TYPES = (
    "application/json",
    "application/json; charset=latin-1",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
)
ENCODINGS = ("gzip", "deflate", "br", "identity, gzip")
LONG = st.builds(lambda text, times: text * times, LATIN.filter(bool), st.integers(1, 30))


def bodies(provider: str) -> st.SearchStrategy[bytes]:
    """Good bodies of *provider* with a part spoiled, any JSON, and what is none."""
    good = [p.read_bytes() for p in sorted((DATA / provider).iterdir())]
    half = st.sampled_from(good).flatmap(spoiled)
    pricked = st.sampled_from(good).flatmap(_pricked)
    any_json = st.builds(_written, ANYTHING, st.booleans())
    return half | pricked | any_json | st.binary(max_size=60) | st.sampled_from([*AWKWARD, *good])


@st.composite
def _pricked(draw: st.DrawFn, good: bytes) -> bytes:
    """*good*, with any of its texts followed by something that is hard to store, to show or to read."""

    def prick(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: prick(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [prick(inner) for inner in value]
        return value + draw(st.sampled_from(TAILS)) if isinstance(value, str) and not draw(st.integers(0, 5)) else value

    return json.dumps(prick(json.loads(good))).encode()


def _written(value: Any, escaped: bool) -> bytes:
    return json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


@st.composite
def headers(draw: st.DrawFn, provider: str) -> dict[str, str]:
    """Those that say what happened, mostly right; ids of any kind, and what the body is said to be."""
    found: dict[str, str] = {}
    for name, values in EVENTS.get(provider, {}).items():
        if draw(st.integers(0, 9)):
            found[name] = draw(st.sampled_from(values) if draw(st.integers(0, 9)) else LATIN)
    for name in draw(st.lists(st.sampled_from(IDS), max_size=4, unique=True)):
        found[name] = draw(LATIN | LONG)
    if not draw(st.integers(0, 2)):
        found["Content-Type"] = draw(st.sampled_from(TYPES) | LATIN)
    if not draw(st.integers(0, 4)):
        found["Content-Encoding"] = draw(st.sampled_from(ENCODINGS))
    return found
