"""Which commits are built, which builds make the same image, and which engine builds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.build import fingerprint, preference, why_skip
from nodewise.domain.recipe import Access, Commit, Limits, Recipe, SourceBuild, Supersede

SOURCE = SourceBuild("maven:3", "mvn package")


def commit(*changed: str, message: str = "Sell hats") -> Commit:
    return Commit("c" * 40, "Ada", message, 0.0, changed=changed)


@pytest.mark.parametrize(
    ("paths", "changed", "built"),
    [
        ((), (), True),
        (("src",), ("src/app.py",), True),
        (("src/",), ("src/deep/app.py",), True),
        (("src",), ("srcs/app.py",), False),
        (("src", "Dockerfile"), ("README.md", "Dockerfile"), True),
        (("*.py",), ("deep/app.py",), True),
        (("src", "!src/docs"), ("src/docs/a.md",), False),
        (("src", "!src/docs"), ("src/docs/a.md", "src/a.py"), True),
        (("src",), (), False),
    ],
)
def test_watch_paths(paths, changed, built):
    assert (not why_skip(Recipe(paths=paths), commit(*changed))) is built


def test_not_knowing_what_changed_is_a_reason_to_build():
    assert not why_skip(Recipe(paths=("src",)), replace(commit(), changed=None))


def test_a_marker_in_the_message_is_named():
    recipe = Recipe(skip=("[skip ci]",))
    assert "[skip ci]" in why_skip(recipe, commit(message="Mend a word\n\n[Skip CI]"))
    assert not why_skip(recipe, commit(message="Skip ci"))


@pytest.mark.parametrize(
    "change",
    [
        {"dockerfile": "other"},
        {"args": {"A": "1"}},
        {"target": "x"},
        {"source": SOURCE},
        {"secrets": {"npm": "/x"}},
        {"platforms": ("linux/arm64",)},
        {"platforms": ("linux/arm64", "linux/amd64")},
        {"submodules": True},
    ],
)
def test_what_goes_into_the_image_makes_another_one(change):
    assert fingerprint(Recipe()) != fingerprint(replace(Recipe(), **change))


@pytest.mark.parametrize(
    "change",
    [
        {"limits": Limits(1.0)},
        {"skip": ("x",)},
        {"paths": ("x",)},
        {"supersede": Supersede.NEVER},
        {"access": Access(key="/x")},
    ],
)
def test_how_it_is_built_does_not(change):
    assert fingerprint(Recipe()) == fingerprint(replace(Recipe(), **change))


@given(st.sets(st.text(min_size=1), min_size=1, max_size=5), st.text(), st.text(min_size=1))
def test_an_engine_more_or_less_moves_only_what_it_gets_or_had(hosts, repository, more):
    before = preference(sorted(hosts), repository)
    after = preference(sorted(hosts | {more}), repository)
    assert [h for h in after if h != more or more in hosts] == before
