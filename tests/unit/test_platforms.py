"""What the images for several platforms are called, and whether an image is for one."""

from __future__ import annotations

import pytest

from nodewise.adapters.builds.engine import is_for
from nodewise.domain import platforms
from nodewise.domain.errors import UserError

AMD, ARM, OLD = "linux/amd64", "linux/arm64", "linux/arm/v7"


def test_one_platform_or_none_has_the_name_itself():
    assert {p: str(n) for p, n in platforms.names("shop:1", ()).items()} == {"": "shop:1"}
    assert {p: str(n) for p, n in platforms.names("shop:1", [ARM]).items()} == {ARM: "shop:1"}


def test_of_several_each_has_its_own_in_their_order():
    named = [(p, str(n)) for p, n in platforms.names("r.test/shop:1.2.0", (OLD, AMD)).items()]
    assert named == [(OLD, "r.test/shop:1.2.0-linux-arm-v7"), (AMD, "r.test/shop:1.2.0-linux-amd64")]
    assert str(platforms.names("shop", (AMD, ARM))[ARM]) == "shop:latest-linux-arm64"


def test_a_name_that_gets_too_long_is_told():
    with pytest.raises(UserError, match="128"):
        platforms.names("shop:" + "x" * 120, (AMD, ARM))


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("1.2.0-linux-arm64", ["1.2.0"]),
        ("1.2.0-linux-arm-v7", ["1.2.0"]),
        ("1-linux-amd64-linux-amd64", ["1-linux-amd64"]),
        ("1.2.0", []),
        ("1.2.0-linux-s390x", []),
        ("-linux-amd64", []),
    ],
)
def test_a_tag_tells_whose_part_it_may_be(tag, found):
    assert list(platforms.wholes(tag, (AMD, ARM, OLD))) == found


@pytest.mark.parametrize(
    ("architecture", "variant", "platform", "fits"),
    [
        ("arm64", "", ARM, True),
        ("amd64", "", ARM, False),
        ("arm64", "v8", ARM, True),
        ("arm", "v7", OLD, True),
        ("arm", "v6", OLD, False),
        ("arm", "", OLD, True),
    ],
)
def test_what_an_engine_says_of_an_image_is_held_against_the_platform(architecture, variant, platform, fits):
    assert is_for({"Os": "linux", "Architecture": architecture, "Variant": variant}, platform) is fits
