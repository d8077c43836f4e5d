"""How the command line writes values."""

from __future__ import annotations

import pytest

from nodewise.cli.access import is_own, own_url
from nodewise.cli.words import ago, duration, printable, short_image

DIGEST = "sha256:" + "3f2a91c0d4e5" + "0" * 52


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (4 * 86400, "4 d"),
    ],
)
def test_a_duration_is_written_in_the_units_that_matter(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_a_time_that_lies_ahead_because_clocks_differ_is_now() -> None:
    assert ago(110.0, 100.0) == "0 s ago"
    assert ago(None, 100.0) == ""
    assert ago(0.0, 7300.0) == "2 h ago"


def test_what_a_terminal_would_act_upon_is_not_printed() -> None:
    assert printable("\x1b[31mred\x1b[0m\x07 \x9b2Jx\tb\r\nc\rd") == "red 2Jx\tb\nc\nd"


def test_an_image_is_named_by_tag_and_digest() -> None:
    assert short_image(f"registry:5000/shop:1.4.2@{DIGEST}") == "1.4.2 (3f2a91c0d4e5)"
    assert short_image("registry:5000/shop") == "registry:5000/shop"
    assert short_image("") == "?"


def test_the_repository_is_named_when_it_changes() -> None:
    assert short_image("registry:5000/shop:2", beside="registry:5000/shop:1") == "2"
    assert short_image("other/shop:2", beside="registry:5000/shop:1") == "other/shop:2"


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8420", "http://127.0.0.1:8420"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        (":8420", "http://127.0.0.1:8420"),
        ("[::]:8420", "http://[::1]:8420"),
        ("[fd00::2]:8420", "http://[fd00::2]:8420"),
        ("10.0.0.7:8420", "http://10.0.0.7:8420"),
    ],
)
def test_the_own_address_follows_from_where_it_listens(listen: str, url: str) -> None:
    assert own_url(listen) == url


def test_the_admin_token_is_for_this_machine_alone() -> None:
    assert is_own("http://10.0.0.7:8420/", "http://10.0.0.7:8420")
    assert is_own("http://localhost:9000", "http://10.0.0.7:8420")
    assert not is_own("https://nodewise.example.org", "http://127.0.0.1:8420")
    assert not is_own("http://127.0.0.1.example.org:8420", "http://127.0.0.1:8420")
