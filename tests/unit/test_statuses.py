"""Each git server's API, as requests that would be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodewise import statuses
from nodewise.domain.build import Build, BuildState
from nodewise.domain.rollout import Phase
from nodewise.domain.telling import of_build, of_rollout
from nodewise.domain.told import Commit, State, Told
from nodewise.statuses import Target
from tests.unit.swarm_values import rollout

COMMIT = "c" * 40
TARGET = Target("https://api.test/v", "acme/shop", COMMIT, "nodewise/web", "https://n.test/r-1", "token-of-test")
ADDRESS = "https://git.test/acme/shop"
BUILD = Build("b-1", "shop", ADDRESS, "refs/heads/main", COMMIT, "r/shop:1", BuildState.PUSHED, 0.0)


def told(phase: Phase = Phase.SUCCEEDED, **changes: object) -> Told:
    return of_rollout(rollout(phase, **changes), Commit(ADDRESS, COMMIT))


def call(kind: str, about: Told, target: Target = TARGET, kept: str = "") -> statuses.Call:
    return statuses.kind(kind).call(target, about, kept)


def test_the_kinds_are_the_files():
    assert statuses.names() == ["bitbucket", "gitea", "github", "gitlab"]


def test_github_makes_a_deployment_first_and_gives_it_a_status_then():
    first = call("github", told())
    assert first.url == "https://api.test/v/repos/acme/shop/deployments"
    assert first.headers["Authorization"] == "Bearer token-of-test"
    assert {k: first.json[k] for k in ("ref", "environment", "auto_merge", "required_contexts")} == {
        "ref": COMMIT,
        "environment": "web",
        "auto_merge": False,
        "required_contexts": [],
    }
    assert first.keep == "id"
    second = call("github", told(), kept="7")
    assert second.url == "https://api.test/v/repos/acme/shop/deployments/7/statuses"
    assert (second.json["state"], second.json["environment"], second.keep) == ("success", "web", "")
    assert second.json["log_url"] == "https://n.test/r-1"


def test_github_gets_a_commit_status_of_a_build():
    made = call("github", of_build(BUILD), replace(TARGET, context="nodewise/build/shop", link=""))
    assert made.url == f"https://api.test/v/repos/acme/shop/statuses/{COMMIT}"
    assert (made.json["state"], made.json["context"]) == ("success", "nodewise/build/shop")
    assert "target_url" not in made.json


def test_gitlab_finds_the_project_by_its_whole_path_and_not_by_the_path_it_is_served_under():
    nested = replace(TARGET, api="https://git.test/lab/api/v4", repository="lab/acme/web/shop")
    made = call("gitlab", told(), nested)
    assert made.url == f"https://git.test/lab/api/v4/projects/acme%2Fweb%2Fshop/statuses/{COMMIT}"
    assert made.headers == {"PRIVATE-TOKEN": "token-of-test"}
    assert made.json["name"] == "nodewise/web"


def test_gitea_gets_a_commit_status():
    made = call("gitea", told(), replace(TARGET, repository="git/acme/shop"))
    assert made.url == f"https://api.test/v/repos/acme/shop/statuses/{COMMIT}"
    assert made.headers == {"Authorization": "token token-of-test"}
    assert (made.json["context"], made.json["target_url"]) == ("nodewise/web", "https://n.test/r-1")


def test_bitbucket_gets_a_key_of_at_most_40_characters_and_an_address_in_any_case():
    made = call("bitbucket", told(), replace(TARGET, link=""))
    assert made.url == f"https://api.test/v/repositories/acme/shop/commit/{COMMIT}/statuses/build"
    assert (made.json["key"], made.json["name"]) == ("nodewise/web", "nodewise/web")
    assert made.json["url"] == f"https://bitbucket.org/acme/shop/commits/{COMMIT}"
    long = [f"nodewise/{'a' * 40}{end}" for end in ("x", "y")]
    keys = [call("bitbucket", told(), replace(TARGET, context=context)).json["key"] for context in long]
    assert (len(set(keys)), max(map(len, keys))) == (2, 40)


@pytest.mark.parametrize(
    ("phase", "github", "gitlab", "gitea", "bitbucket"),
    [
        (Phase.PENDING, "queued", "pending", "pending", "INPROGRESS"),
        (Phase.MOVING, "in_progress", "running", "pending", "INPROGRESS"),
        (Phase.ROLLING_BACK, "in_progress", "running", "pending", "INPROGRESS"),
        (Phase.SUCCEEDED, "success", "success", "success", "SUCCESSFUL"),
        (Phase.ROLLED_BACK, "failure", "failed", "failure", "FAILED"),
        (Phase.SUPERSEDED, "inactive", "canceled", "warning", "STOPPED"),
    ],
)
def test_each_server_is_told_in_its_own_words(phase, github, gitlab, gitea, bitbucket):
    said = {kind: call(kind, told(phase), kept="7").json["state"] for kind in statuses.names()}
    assert said == {"github": github, "gitlab": gitlab, "gitea": gitea, "bitbucket": bitbucket}


@pytest.mark.parametrize("kind", statuses.names())
@pytest.mark.parametrize("state", State)
def test_every_state_has_a_word_everywhere_and_a_long_reason_is_cut(kind: str, state: State):
    about = replace(told(reason="x" * 1000), state=state)
    made = call(kind, about, kept="7")
    assert made.json["state"]
    assert len(made.json["description"]) == (140 if kind == "github" else 255)


def test_a_token_is_in_no_representation():
    assert "token-of-test" not in repr(TARGET) + repr(call("gitea", told()))
