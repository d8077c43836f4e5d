"""What engines and registries say, in their own words, and which of our errors each becomes."""

from __future__ import annotations

import pytest
import requests
from docker.errors import APIError

from nodewise.adapters import docker_errors
from nodewise.adapters.credentials import auth_headers
from nodewise.domain.errors import GiveUp, NodewiseError, NotFound, OutOfSequence, RetryLater, UserError
from nodewise.domain.images import ImageName

IMAGE = ImageName.parse("registry.example.com/app:v1")


def answer(status: int, text: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("refused", response=response, explanation=text)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (500, "rpc error: code = Unknown desc = update out of sequence", OutOfSequence),
        (503, "This node is not a swarm manager. Use docker swarm init.", RetryLater),
        (500, "rpc error: code = Unknown desc = The swarm does not have a leader.", RetryLater),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", RetryLater),
        (500, "rpc error: code = Unavailable desc = connection error", RetryLater),
        (500, "raft: failed to process the request: node losing leader status", RetryLater),
        (400, "invalid JSON", GiveUp),
        (400, "rpc error: code = InvalidArgument desc = ContainerSpec: image reference", GiveUp),
        (500, "rpc error: code = InvalidArgument desc = duplicate published ports provided", GiveUp),
        (501, "rpc error: code = Unimplemented desc = renaming services is not supported", GiveUp),
        (404, "service web not found", GiveUp),
    ],
)
def test_an_update_is_raced_retried_or_given_up(status: int, text: str, expected: type[NodewiseError]) -> None:
    error = docker_errors.update_error(answer(status, text))
    assert type(error) is expected
    assert text in str(error)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "manifest unknown: manifest unknown", NotFound),
        (500, "name unknown: repository name not known to registry", NotFound),
        (401, "unauthorized: authentication required", UserError),
        (403, "denied: requested access to the resource is denied", UserError),
        (500, "no basic auth credentials", UserError),
        (500, "http: server gave HTTP response to HTTPS client", UserError),
        (500, "x509: certificate signed by unknown authority", UserError),
        (400, "invalid reference format", UserError),
        (500, "dial tcp: lookup registry.example.com: no such host", RetryLater),
        (500, "dial tcp 10.0.0.1:443: connect: connection refused", RetryLater),
        (500, "net/http: TLS handshake timeout", RetryLater),
        (500, "received unexpected HTTP status: 503 Service Unavailable", RetryLater),
        (500, "toomanyrequests: You have reached your pull rate limit", RetryLater),
        (500, "something never heard before", RetryLater),
    ],
)
def test_a_registrys_answer_is_for_the_user_or_for_later(status: int, text: str, expected: type[NodewiseError]) -> None:
    error = docker_errors.resolve_error(IMAGE, text, status)
    assert type(error) is expected
    assert "registry.example.com" in error.what
    assert isinstance(error, RetryLater) or error.hint or text in error.what


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("denied: requested access to the resource is denied", GiveUp),
        ("An image does not exist locally with the tag: app", GiveUp),
        ("dial tcp 10.0.0.1:5000: connect: connection refused", RetryLater),
        ("received unexpected HTTP status: 502 Bad Gateway", RetryLater),
    ],
)
def test_a_push_is_tried_later_only_where_later_may_be_better(text: str, expected: type[NodewiseError]) -> None:
    assert type(docker_errors.transfer_error("pushing", IMAGE, text)) is expected


def test_a_rate_limit_is_waited_out_longer_than_a_lost_connection() -> None:
    limited = docker_errors.resolve_error(IMAGE, "toomanyrequests", 429)
    lost = docker_errors.resolve_error(IMAGE, "connection refused", 500)
    assert isinstance(limited, RetryLater)
    assert isinstance(lost, RetryLater)
    assert limited.delay > lost.delay


def test_reading_is_retried_for_the_engines_faults_and_given_up_for_ours() -> None:
    assert type(docker_errors.read_error(answer(500, "oops"))) is RetryLater
    assert type(docker_errors.read_error(answer(400, "bad filter"))) is GiveUp


def test_an_error_is_said_in_the_words_of_its_root_and_never_with_its_address() -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        try:
            raise FileNotFoundError(2, "No such file or directory", "/run/docker.sock")
        except FileNotFoundError as error:
            raise requests.ConnectionError("http+docker://localhost/build?buildargs=secret") from error
    assert docker_errors.words(caught.value) == "No such file or directory"


def test_without_a_login_no_header_is_sent_so_that_the_stored_one_stays() -> None:
    assert auth_headers(lambda _: None, "ghcr.io") == {}
    assert list(auth_headers(lambda _: {"username": "a", "password": "b"}, "ghcr.io")) == ["X-Registry-Auth"]
