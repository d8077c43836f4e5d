"""Policies held against the libraries that are known for versions: ``semver`` for order, ``packaging`` for ranges."""

from __future__ import annotations

import itertools

from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version as PyVersion
from semver import Version

from nodewise.policy import parse

small = st.integers(0, 4)
triples = st.tuples(small, small, small)
identifiers = st.lists(st.sampled_from(["alpha", "beta", "rc", "0", "1", "2", "10", "x-y"]), min_size=1, max_size=3)
versions = st.builds(
    lambda t, pre, build: ".".join(map(str, t)) + (f"-{'.'.join(pre)}" if pre else "") + (f"+{build}" if build else ""),
    triples,
    st.just([]) | identifiers,
    st.sampled_from(["", "b1", "20261126"]),
)
comparisons = st.lists(st.tuples(st.sampled_from([">=", "<=", ">", "<"]), triples), min_size=1, max_size=3)


def dotted(triple: tuple[int, int, int]) -> str:
    return ".".join(map(str, triple))


@given(versions, versions)
def test_of_two_admitted_versions_the_newer_is_that_of_the_semver_library(one, other):
    policy = parse(f"semver:>={other.partition('+')[0]}")
    assume(policy.admits(one))
    assert policy.newer(one, other) is (Version.parse(one).compare(Version.parse(other)) >= 0)


@given(st.lists(versions, min_size=2, max_size=6, unique=True))
def test_newer_is_an_order_without_circles(found):
    policy = parse("semver:*")
    admitted = [v for v in found if policy.admits(v)]
    for a, b, c in itertools.permutations(admitted, 3):
        if policy.newer(a, b) and policy.newer(b, c):
            assert policy.newer(a, c)
    for a, b in itertools.combinations(admitted, 2):
        assert policy.newer(a, b) or policy.newer(b, a)


@given(comparisons, triples)
def test_comparisons_admit_what_packaging_admits(bounds, triple):
    policy = parse("semver:" + " ".join(f"{op}{dotted(t)}" for op, t in bounds))
    specifiers = SpecifierSet(",".join(f"{op}{dotted(t)}" for op, t in bounds))
    assert policy.admits(dotted(triple)) is (PyVersion(dotted(triple)) in specifiers)


@given(triples, triples)
def test_tilde_is_packagings_compatible_release_and_caret_holds_the_first_number_that_is_not_zero(base, triple):
    version = PyVersion(dotted(triple))
    assert parse(f"semver:~{dotted(base)}").admits(dotted(triple)) is (version in SpecifierSet(f"~={dotted(base)}"))
    major, minor, patch = base
    above = (major + 1, 0, 0) if major else (0, minor + 1, 0) if minor else (0, 0, patch + 1)
    caret = SpecifierSet(f">={dotted(base)},<{dotted(above)}")
    assert parse(f"semver:^{dotted(base)}").admits(dotted(triple)) is (version in caret)


@given(versions, comparisons)
def test_a_pre_release_is_admitted_only_where_the_range_names_one_of_the_same_version(version, bounds):
    assume(Version.parse(version).prerelease)
    plain = "semver:" + " ".join(f"{op}{dotted(t)}" for op, t in bounds)
    assert not parse(plain).admits(version)
    named = Version.parse(version).finalize_version()
    policy = parse(f"semver:>={named}-alpha")
    assert policy.admits(version) is (Version.parse(version).compare(f"{named}-alpha") >= 0)


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=3), st.lists(st.integers(0, 10_000), min_size=1, max_size=3)
)
def test_numbers_that_an_expression_catches_count_as_numbers(one, other):
    assume(len(one) == len(other))
    policy = parse("regex:b" + r"-(\d+)" * len(one))
    tags = ["b" + "".join(f"-{n}" for n in caught) for caught in (one, other)]
    assert policy.newer(*tags) is (one >= other)


@given(st.text("abcxyz", min_size=1, max_size=5), st.text("abcxyz", min_size=1, max_size=5))
def test_letters_that_an_expression_catches_count_by_the_alphabet(one, other):
    assert parse("regex:release-([a-z]+)").newer(f"release-{one}", f"release-{other}") is (one >= other)
