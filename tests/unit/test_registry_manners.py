"""What a registry's headers ask of those who ask it."""

from __future__ import annotations

import pytest

from nodewise.adapters.registry.challenges import Challenge
from nodewise.adapters.registry.pauses import asked_to_wait

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60),
        (429, {"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        (429, {"Retry-After": str(int(NOW) + 30)}, 30),
        (429, {"X-RateLimit-Reset": str(int(NOW) + 45)}, 45),
        (429, {"Retry-After": "-5"}, 0),
        (200, {"Retry-After": "60"}, 0),
        (200, {"RateLimit-Remaining": "many;w=60"}, 0),
        (200, {"RateLimit-Remaining": "0"}, 0),
        (200, {"RateLimit-Remaining": "99;w=21600", "RateLimit-Reset": "10"}, 0),
        (200, {"RateLimit-Remaining": "0;w=21600", "RateLimit-Reset": "10"}, 10),
    ],
)
def test_how_long_to_wait_is_read_from_whatever_form_it_has(status, headers, seconds):
    assert asked_to_wait(status, headers, NOW) == seconds


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('Bearer realm="https://a/t",service="s",scope="x:y:z"', "https://a/t?service=s&scope=x%3Ay%3Az"),
        ('bearer Realm="https://a/t?k=1"', "https://a/t?k=1&scope=repository%3Ateam%2Fweb%3Apull"),
        ('Bearer realm="https://a/t", scope="a:b:pull,push"', "https://a/t?scope=a%3Ab%3Apull%2Cpush"),
    ],
)
def test_a_challenge_names_the_address_of_its_token(header, url):
    challenge = Challenge.parse(header)
    assert challenge is not None
    assert challenge.url("team/web") == url


def test_other_challenges_are_none_that_can_be_met():
    assert Challenge.parse("") is Challenge.parse("Negotiate abc") is None
    assert Challenge.parse('Basic realm="r"') == Challenge("basic", "r")
