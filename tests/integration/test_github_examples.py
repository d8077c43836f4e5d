"""Every webhook that GitHub publishes an example of, signed by GitHub's own library, through the whole receiver."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from nodewise.domain.delivery import Verdict
from tests.integration import octokit
from tests.integration.hook_parts import Receiver, every_hook
from tests.integration.octokit import Example
from tests.unit.providers.signers import Request, secret_of, signed

pytestmark = pytest.mark.seconds(10)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    if reason := octokit.why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return octokit.examples(secret_of("github"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with every_hook(tmp_path_factory.mktemp("github")) as opened:
        yield opened


def request(example: Example, number: int) -> Request:
    headers = {
        "Content-Type": example.type,
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": f"72d3162e-cc78-11e3-81ab-{number:012}",
        "X-GitHub-Event": example.event,
        "X-Hub-Signature-256": example.signature,
    }
    return Request(example.body.encode(), headers)


def test_every_example_is_taken_and_only_pushes_and_packages_start_anything(
    receiver: Receiver, examples: list[Example]
):
    assert len(examples) > 600, "every event as JSON and as a form"
    started: Counter[str] = Counter()
    for number, example in enumerate(examples):
        answer = receiver.post("github", request(example, number))
        assert answer.status_code == (200 if example.event == "ping" else 202), answer.text
        assert (answer.json["verdict"] == Verdict.PING) == (example.event == "ping")
        started[example.event] += answer.json["events"]
    assert len(receiver.rows()["events"]) == started.total()
    assert {event for event, count in started.items() if count} <= {"push", "package", "registry_package"}
    assert started["push"] == 6, "three of the seven pushes move a ref, the others delete one"
    assert started["package"] == 0, "the only image among the packages has no tag"


def test_no_example_is_taken_with_the_signature_of_another(receiver: Receiver, examples: list[Example]):
    before = receiver.stored()
    different = list({example.body: example for example in examples}.values())
    for number, (example, other) in enumerate(pairwise(different[::4])):
        answer = receiver.post("github", request(replace(example, signature=other.signature), number))
        assert answer.status_code == 401, answer.text
    assert receiver.stored() == before


def test_github_sees_its_own_signature_in_what_the_tests_sign(examples: list[Example]):
    for example in examples:
        mine = signed("github", example.body.encode(), 0.0).headers["X-Hub-Signature-256"]
        assert mine == example.signature
