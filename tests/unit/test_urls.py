"""Addresses: which of them name one repository, and where people read more."""

from __future__ import annotations

import pytest

from nodewise.domain.urls import same_repository, told_at


@pytest.mark.parametrize(("subject", "link"), [("r-1", "rollouts/r-1"), ("b-1", "builds/b-1")])
def test_a_link_leads_to_where_it_is_said_that_people_reach_nodewise(subject: str, link: str):
    assert told_at("https://n.test", subject) == f"https://n.test/api/v1/{link}"
    assert told_at("", subject) == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://me@git.test/A/b.git", "git@git.test:a/b", True),
        ("ssh://git@git.test:2222/a/b", "https://git.test/a/b", False),
        ("/srv/git/A.git", "file:///srv/git/A", True),
        ("/srv/git/A", "/srv/git/a", False),
    ],
)
def test_addresses_of_one_repository_are_the_same_without_scheme_user_and_ending(one: str, other: str, same: bool):
    assert same_repository(one, other) is same
