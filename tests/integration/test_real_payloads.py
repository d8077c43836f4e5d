"""Bodies as they were published, well signed, through the whole receiver: what each is worth, file by file.

The files are not the project's and not in it: NODEWISE_PAYLOADS names their folder. One that no case names fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nodewise.domain.delivery import Verdict
from nodewise.domain.events import AlertFired, CodePushed, Event
from tests.integration.hook_parts import Receiver, every_hook
from tests.unit.providers.parts import PAYLOADS, needs_payloads, real
from tests.unit.providers.signers import REGISTRY, Request, by_sns, signed, sns_message

pytestmark = needs_payloads

ACCEPTED, IGNORED, UNUSABLE, PING = Verdict.ACCEPTED, Verdict.IGNORED, Verdict.UNUSABLE, Verdict.PING
GOOGLE = "google-artifact-registry"
DIASPORA = ("http://example.com/mike/diaspora.git", "refs/heads/master")
EXAMPLE = ("http://example.com/jsmith/example.git", "refs/tags/v1.0.0")
ECR = ("123456789012.dkr.ecr.us-west-2.amazonaws.com/my-repository-name", "latest")


@dataclass(frozen=True)
class Case:
    """A file, and the hook that it is sent to. Events are named by repository (or service), and tag (or ref)."""

    path: str
    hook: str
    verdict: Verdict
    events: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


def pushed(path: str, hook: str, *events: tuple[str, str], **headers: str) -> Case:
    return Case(path, hook, ACCEPTED, events, {name.replace("_", "-"): value for name, value in headers.items()})


def ignored(path: str, hook: str, **headers: str) -> Case:
    return Case(path, hook, IGNORED, (), {name.replace("_", "-"): value for name, value in headers.items()})


CASES = (
    ignored("alertmanager/firing", "alertmanager"),
    pushed("alertmanager/firing", "alerts-by-host", ("andromeda", ""), ("andromeda", "")),
    pushed("amazon-ecr/image-push", "amazon-ecr", ECR),
    pushed("amazon-ecr/image-push", "by-sns", ECR),
    Case("amazon-ecr/sns-subscription-confirmation", "by-sns", PING),
    pushed("azure-acr/push", "azure-acr", ("myregistry.azurecr.io/hello-world", "v1")),
    ignored("azure-acr/delete", "azure-acr"),
    Case("azure-devops/git_push", "azure-devops", PING),  # it has the id of the Test button's sample
    pushed(
        "bitbucket-cloud/push",
        "bitbucket-cloud",
        ("https://bitbucket.org/team_name/repo_name", "refs/heads/name-of-branch"),
        X_Event_Key="repo:push",
    ),
    ignored("bitbucket-server/refs_changed", "bitbucket-server", X_Event_Key="repo:refs_changed"),
    pushed("distribution/push-v1", "distribution", ("registry.git.erxes.io/foo/bar", "1.6.1")),
    pushed("distribution/push-v1", "gitlab-registry", ("registry.git.erxes.io/foo/bar", "1.6.1")),
    ignored("distribution/pull", "distribution"),
    pushed("docker-hub/push", "docker-hub", ("docker.io/karolisr/keel", "0.1.7")),
    pushed("dockerhub/build_notice", "docker-hub", ("docker.io/svendowideit/testhook", "latest")),
    pushed(
        "gitea/push", "gitea", ("http://localhost:3000/example/example.git", "refs/heads/master"), X_Gitea_Event="push"
    ),
    ignored("gitea/create", "gitea", X_Gitea_Event="create"),
    ignored("gitea/delete", "gitea", X_Gitea_Event="delete"),
    pushed(
        "gitea/push",
        "forgejo",
        ("http://localhost:3000/example/example.git", "refs/heads/master"),
        X_Forgejo_Event="push",
    ),
    pushed(
        "github-packages/package-create-2020",
        "github",
        ("ghcr.io/utaitebox/utaitebox-server", "3.2.1"),
        X_GitHub_Event="package",
    ),
    ignored("github-packages/package-published-container", "github", X_GitHub_Event="package"),  # no tag in it
    *(
        pushed(f"gitlab/{case}", hook, event)
        for hook in ("gitlab", "gitlab-signed")
        for case, event in {
            "push": DIASPORA,
            "system_push": DIASPORA,
            "tag_push": EXAMPLE,
            "system_tag_push": EXAMPLE,
        }.items()
    ),
    pushed(
        "gogs/push", "gogs", ("http://localhost:3000/unknwon/webhooks.git", "refs/heads/develop"), X_Gogs_Event="push"
    ),
    ignored("gogs/create", "gogs", X_Gogs_Event="create"),  # of a branch
    ignored("gogs/delete", "gogs", X_Gogs_Event="delete"),
    pushed(
        f"{GOOGLE}/message-data-insert",
        GOOGLE,
        ("gcr.io/freshly-docker/freshly", "PIG-267-refactor-email-service"),
    ),
    Case(f"{GOOGLE}/pubsub-push-envelope-generic", GOOGLE, UNUSABLE),
    ignored("harbor/cloudevents-artifact-pulled", "harbor"),
    pushed("harbor/push-artifact-keel", "harbor", ("quay.io/mynamespace/repository", "latest")),
    ignored("jfrog/docker-pushed", "jfrog"),  # of a remote repository's cache
    ignored("jfrog/docker-pushed", "jfrog-signed"),
    ignored("nexus3/asset-created-docker", "nexus", X_Nexus_Webhook_Id="rm:repository:asset"),  # by digest
    pushed("quay/repo-push", "quay", ("quay.io/mynamespace/repository", "1.2.3")),
    pushed("zot/image-updated-binary-mode", "zot", (f"{REGISTRY}/golang", "latest")),
)
REFUSED = "amazon-ecr/sns-notification-generic"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with every_hook(tmp_path_factory.mktemp("real")) as opened:
        yield opened


def request(case: Case) -> Request:
    """The file as its provider sends it: now, and signed."""
    content, now = real(f"{case.path}.json"), time.time()
    data = json.loads(content)
    if case.hook == "by-sns" and "MessageId" in data:
        return of_topic(data, now)
    if case.hook == "zot":
        return signed(case.hook, json.dumps(data["body"]).encode(), now, data["headers"])
    return signed(case.hook, content, now, case.headers)


def of_topic(message: dict, now: float) -> Request:
    """A message of SNS as if it were of the test's topic, with its certificate."""
    ours = sns_message("", now)
    return by_sns(message | {name: ours[name] for name in ("TopicArn", "Timestamp", "SigningCertURL")})


def named(event: Event) -> tuple[str, str]:
    if isinstance(event, AlertFired):
        return event.service, ""
    return event.repository, event.ref if isinstance(event, CodePushed) else event.tag


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.path} at {case.hook}")
def test_a_published_body_is_worth_what_it_should_be(receiver: Receiver, case: Case):
    answer = receiver.post(case.hook, request(case))
    verdict, events = receiver.events(answer)
    assert (verdict, tuple(map(named, events))) == (case.verdict, case.events), answer.text
    assert answer.status_code == (200 if verdict is PING else 202)


def test_every_published_body_has_a_case():
    files = {str(p.relative_to(PAYLOADS).with_suffix("")) for p in Path(PAYLOADS).rglob("*.json")}
    assert files == {case.path for case in CASES} | {REFUSED}


def test_a_message_of_sns_that_holds_no_event_is_refused_and_named(receiver: Receiver):
    answer = receiver.post("by-sns", of_topic(json.loads(real(f"{REFUSED}.json")), time.time()))
    assert (answer.status_code, answer.json["field"]) == (400, "Message")


def test_what_is_visited_is_the_subscription_and_nothing_else(receiver: Receiver):
    message = json.loads(real("amazon-ecr/sns-subscription-confirmation.json"))
    receiver.papers.visited.clear()
    assert receiver.post("by-sns", of_topic(message, time.time())).status_code == 200
    assert receiver.papers.visited == [message["SubscribeURL"]]
