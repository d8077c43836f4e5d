"""Policies: which tag may replace which."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.errors import UserError
from nodewise.policy import parse

ADMITS = [
    ("semver:^1.4", ["1.4.0", "1.9.9", "v1.5.0"], ["1.3.9", "2.0.0", "2.0.0-rc.1", "1.5.0-rc.1", "latest", "1.4.0.0"]),
    ("semver:^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
    ("semver:~1.4", ["1.4.0", "1.4.7"], ["1.5.0"]),
    ("semver:>=1.2 <2", ["1.2.0", "1.99.0"], ["1.1.9", "2.0.0"]),
    ("semver:1.x", ["1.0.0", "1.7.2"], ["2.0.0", "0.9.0"]),
    ("semver:^1.5.0-rc.1", ["1.5.0-rc.1", "1.5.0-rc.2", "1.5.0", "1.6.0"], ["1.4.0", "1.6.0-rc.1"]),
    ("glob:release-*", ["release-1", "release-"], ["Release-1", "pre-release-1"]),
    (r"regex:v(\d+)", ["v1", "v22"], ["v", "v1-rc", "xv1"]),
]


@pytest.mark.parametrize(("text", "good", "bad"), ADMITS, ids=[a[0] for a in ADMITS])
def test_a_policy_admits_what_it_says_and_nothing_else(text, good, bad):
    policy = parse(text)
    assert {tag: policy.admits(tag) for tag in good} == dict.fromkeys(good, True)
    assert {tag: policy.admits(tag) for tag in bad} == dict.fromkeys(bad, False)
    assert str(policy) == text


@pytest.mark.parametrize(
    ("text", "ordered"),
    [("semver:^1", True), (r"regex:v(\d+)", True), (r"regex:v\d+", False), ("glob:*", False), ("same", False)],
)
def test_a_policy_says_whether_tags_can_be_told_apart_by_their_names(text, ordered):
    assert parse(text).ordered is ordered


def test_same_follows_the_tag_that_runs_and_no_other():
    policy = parse("same")
    assert policy.admits("main")
    assert policy.newer("main", "main")
    assert not policy.newer("other", "main")


def test_semver_never_goes_back_and_orders_by_number_not_by_letter():
    policy = parse("semver:^1")
    assert policy.newer("1.10.0", "1.9.0")
    assert not policy.newer("1.9.0", "1.10.0")
    assert policy.newer("1.9.0", "1.9.0"), "the same tag may stand for a new digest"
    assert policy.newer("1.9.0", "latest"), "what runs is no version: any version is a step forward"


def test_a_regex_orders_by_its_group():
    policy = parse(r"regex:build-(\d+)")
    assert policy.newer("build-10", "build-9")
    assert not policy.newer("build-9", "build-10")


versions = st.tuples(*[st.integers(0, 30)] * 3).map(lambda v: ".".join(map(str, v)))


@given(versions, versions)
def test_of_two_versions_at_most_one_is_newer_unless_they_are_equal(one, other):
    policy = parse("semver:*")
    assert (policy.newer(one, other) and policy.newer(other, one)) == (one == other)
    assert policy.newer(one, other) or policy.newer(other, one)


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_breaks_a_policy_but_by_its_own_error(text, tag):
    for name in ("semver", "glob", "regex", "same", ""):
        with suppress(UserError):
            policy = parse(f"{name}:{text}")
            policy.admits(tag)
            policy.newer(tag, text)


@pytest.mark.parametrize("text", ["semver", "semver:", "semver:abc", "regex:(", "regex:", "glob:", "newest:1", ""])
def test_what_is_no_policy_is_refused_with_a_way_out(text):
    with pytest.raises(UserError) as error:
        parse(text)
    assert error.value.hint
