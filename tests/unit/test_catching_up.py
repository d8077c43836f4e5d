"""What a list of tags and a digest say about what a service has missed."""

from __future__ import annotations

import pytest

from nodewise.domain.catching_up import AFTER_START, Follower, candidate, due, not_missed
from nodewise.domain.images import ImageName
from nodewise.policy import parse

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
RELEASES = ["1.0.0", "1.2.0", "1.10.0", "1.10.0-rc.1", "2.0.0", "latest", "main"]


def follower(policy: str, tag: str) -> Follower:
    image = ImageName.parse(f"r.test/web:{tag}@{A}" if tag else f"r.test/web@{A}")
    return Follower("web", parse(policy), image, image)


@pytest.mark.parametrize(
    ("policy", "current", "tags", "expected"),
    [
        ("semver:^1", "1.0.0", RELEASES, "1.10.0"),
        ("semver:^1", "1.10.0", RELEASES, "1.10.0"),
        ("semver:^1", "1.11.0", RELEASES, ""),
        ("semver:^1", "main", RELEASES, "1.10.0"),
        ("semver:^3", "main", RELEASES, ""),
        ("semver:^1", "1.0.0", ["1.4", "v1.4.0", "1.4.0", "1", "1.3.9"], "v1.4.0"),
        ("semver:^1", "1.4", ["1.4", "v1.4.0", "1.4.0"], "1.4"),
        ("semver:^1", "1.0.0", [], ""),
        (r"regex:build-(\d+)", "build-9", ["build-8", "build-10", "build-9", "other"], "build-10"),
        (r"regex:build-\d+", "build-9", ["build-8", "build-10", "build-9"], "build-9"),
        (r"regex:build-\d+", "main", ["build-8", "build-10"], ""),
        ("glob:release-*", "release-1", ["release-1", "release-2"], "release-1"),
        ("glob:release-*", "main", ["release-1", "release-2"], ""),
        ("same", "main", RELEASES, "main"),
        ("same", "", RELEASES, "latest"),
    ],
)
def test_the_tag_to_ask_about_is_the_best_by_the_policy_or_the_services_own(policy, current, tags, expected):
    for order in (tags, tags[::-1]):
        assert candidate(follower(policy, current), order) == expected


@pytest.mark.parametrize(
    ("running", "present", "tag", "digest", "news"),
    [
        (f"web:1.0@{A}", f"web:1.0@{A}", "1.1", B, True),
        (f"web:1.0@{A}", f"web:1.0@{A}", "1.0", B, True),
        (f"web:1.0@{A}", f"web:1.0@{A}", "1.1", A, False),
        (f"web:1.1@{A}", f"web:1.0@{B}", "1.1", A, False),
        (f"web:1.0@{A}", f"web:1.1@{B}", "1.1", B, False),
        ("web:1.0", "web:1.0", "1.0", A, False),
        ("web", "web", "latest", A, False),
        ("web:1.0", "web:1.0", "1.1", A, True),
    ],
)
def test_what_a_service_has_or_is_about_to_have_is_no_news(running, present, tag, digest, news):
    assert (not_missed(ImageName.parse(running), ImageName.parse(present), tag, digest) == "") is news


@pytest.mark.parametrize(
    ("last", "started_at", "now", "expected"),
    [
        (None, 1000.0, 1000.0, True),
        (900.0, 0.0, 1199.0, False),
        (900.0, 0.0, 1200.0, True),
        (900.0, 1000.0, 1000.0, True),
        (990.0, 1000.0, 1000.0, False),
        (990.0, 1000.0, 990.0 + AFTER_START, True),
        (1001.0, 1000.0, 1002.0, False),
        (5000.0, 0.0, 1000.0, True),
    ],
    ids=["never", "early", "in time", "start", "many starts", "after many", "once a start", "the clock was set back"],
)
def test_a_look_is_due_after_the_interval_and_soon_after_a_start(last, started_at, now, expected):
    assert due(last, now, 300.0, started_at) is expected
