"""Placeholders: what a ref tells, what only git tells, and what nobody can tell."""

from __future__ import annotations

import pytest

from nodewise.domain import naming
from nodewise.domain.errors import UserError
from nodewise.domain.recipe import Commit, Recipe, SourceBuild

SHA = "c" * 40
TAG, MAIN = "refs/tags/v1.2.0", "refs/heads/main"


def commit(described: str = "") -> Commit:
    return Commit(SHA, "Ada", "Sell hats", 1_764_000_000.0, described)


@pytest.mark.parametrize(
    ("text", "ref", "described", "wanted"),
    [
        ("{version}", TAG, "", "1.2.0"),
        ("{version}", MAIN, "v1.2.0-3-gcccccc", "1.2.0-3-gcccccc"),
        ("{version}", "refs/tags/2026+1", "", "2026-1"),
        ("{date}-{short_sha}", MAIN, "", "20251124-160000-cccccccccccc"),
        ("{branch}", "refs/heads/fix/it", "", "fix-it"),
        ("{other} {}", MAIN, "", "{other} {}"),
    ],
)
def test_git_tells_the_rest(text, ref, described, wanted):
    assert naming.checked(text, naming.by_git(ref, commit(described)), ref, "image name") == wanted


@pytest.mark.parametrize(("text", "ref"), [("{tag}", MAIN), ("{branch}", TAG)])
def test_what_the_ref_does_not_have_is_named_at_once(text, ref):
    with pytest.raises(UserError, match="does not have"):
        naming.checked(text, naming.by_ref(ref, SHA), ref, "image name", naming.OF_GIT)


def test_what_git_may_tell_stays_until_it_is_asked():
    assert naming.checked("r/a:{version}-{sha}", naming.by_ref(MAIN, SHA), MAIN, "x", naming.OF_GIT) == (
        f"r/a:{{version}}-{SHA}"
    )
    with pytest.raises(UserError, match="a tag in the commit's history"):
        naming.checked("r/a:{version}", naming.by_git(MAIN, commit()), MAIN, "image name")


def test_arguments_and_the_source_builds_variables_are_filled_in():
    source = SourceBuild("maven:3", "mvn package", env={"V": "{version}"})
    whole = naming.whole(Recipe(args={"S": "{sha}"}, source=source), naming.by_git(TAG, commit()), TAG)
    assert whole.args == {"S": SHA}
    assert whole.source is not None
    assert whole.source.env == {"V": "1.2.0"}


def test_an_unknown_placeholder_is_found():
    assert naming.unknown("r/a:{sha}-{shaa}") == "shaa"
    assert naming.unknown("r/a:{sha}") == ""
