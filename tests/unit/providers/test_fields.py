"""What happened, read from the places that a hook names."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodewise.domain.events import CodePushed, ImagePushed
from tests.unit.providers.parts import COMMIT
from webhooks.provider import Unreadable
from webhooks.providers._fields import PLAIN, event

DIGEST = "sha256:" + "1" * 64
SHOP = "registry.example/team/shop"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"image": f"{SHOP}:1.4.0"}, ImagePushed(SHOP, "1.4.0")),
        ({"image": f"{SHOP}:1.4.0@{DIGEST}"}, ImagePushed(SHOP, "1.4.0", DIGEST)),
        ({"image": "team/shop:1.4.0"}, ImagePushed("docker.io/team/shop", "1.4.0")),
        ({"repository": SHOP, "tag": "1.4.0"}, ImagePushed(SHOP, "1.4.0")),
        ({"repository": SHOP, "tag": "1.4.0", "digest": DIGEST}, ImagePushed(SHOP, "1.4.0", DIGEST)),
        ({"repository": SHOP, "tag": "1.4.0", "digest": None}, ImagePushed(SHOP, "1.4.0")),
        ({"repository": SHOP, "tag": f"1.4.0@{DIGEST}"}, ImagePushed(SHOP, "1.4.0", DIGEST)),
        (
            {"repository": "https://git.example/shop", "ref": "refs/tags/v1", "commit": COMMIT},
            CodePushed("https://git.example/shop", "refs/tags/v1", COMMIT),
        ),
        ({"repository": "x", "ref": "refs/heads/old", "commit": "0" * 64}, "refs/heads/old was deleted"),
    ],
)
def test_a_body_of_our_own_plain_shape_needs_no_fields(data, expected):
    assert event(data, {}) == expected


def test_fields_are_read_where_the_hook_says_and_nowhere_else():
    data = {"data": {"repo": {"name": SHOP}, "version": "2.0.0"}, "digest": DIGEST, "image": "other.example/x:1"}
    assert event(data, {"repository": "data.repo.name", "tag": "data.version"}) == ImagePushed(SHOP, "2.0.0")


def test_what_the_fields_need_and_do_not_name_is_looked_for_at_the_top():
    assert event({"repository": SHOP, "v": "2.0.0"}, {"tag": "v"}) == ImagePushed(SHOP, "2.0.0")


def test_one_hook_may_hear_of_images_and_of_code():
    fields = {"image": "built.image", "repository": "git.url", "ref": "git.ref", "commit": "git.sha"}
    assert event({"built": {"image": f"{SHOP}:3"}}, fields) == ImagePushed(SHOP, "3")
    pushed = event({"git": {"url": "u", "ref": "refs/heads/main", "sha": COMMIT}}, fields)
    assert pushed == CodePushed("u", "refs/heads/main", COMMIT)


@pytest.mark.parametrize("said", ["10.0.0.7:5000/team/shop", "team/shop"])
def test_the_hooks_registry_stands_for_the_one_in_the_body(said):
    wanted = ImagePushed("registry.example/team/shop", "1")
    assert event({"image": f"{said}:1"}, {}, "registry.example") == wanted
    assert event({"repository": said, "tag": "1"}, {}, "registry.example") == wanted


@pytest.mark.parametrize(
    ("data", "fields", "path", "what"),
    [
        ({}, {}, "image", "none of image, tag, ref is there"),
        ({}, {"image": "a.b"}, "a.b", "a.b is missing"),
        ({"a": {"b": 3}}, {"image": "a.b"}, "a.b", "not text"),
        ({"image": SHOP}, {}, "image", "image has no tag"),
        ({"image": "registry.example/SHOP:1"}, {}, "image", "path 'SHOP'"),
        ({"tag": "1"}, {}, "repository", "repository is missing"),
        ({"tag": "!", "repository": SHOP}, {}, "repository", "tag '!'"),
        ({"tag": "1", "repository": SHOP, "digest": "abc"}, {}, "repository", "digest 'abc'"),
        ({"ref": "main", "repository": "x", "commit": COMMIT}, {}, "ref", "no full ref"),
        ({"ref": "refs/heads/main", "repository": "x"}, {}, "commit", "commit is missing"),
        ({"ref": "refs/heads/main", "commit": COMMIT}, {"ref": "ref", "repository": "r.u"}, "r.u", "r.u is missing"),
        ({"image": f"{SHOP}:1"}, {"digest": "digest"}, "fields", "name none of"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(data, fields, path, what):
    with pytest.raises(Unreadable) as error:
        event(data, fields)
    assert error.value.field == path
    assert what in error.value.what


@given(
    st.dictionaries(
        st.sampled_from(sorted(PLAIN)), st.none() | st.integers() | st.text(max_size=30) | st.just("a.b/c"), max_size=6
    ),
    st.sampled_from(["", "registry.example"]),
)
def test_no_body_is_refused_by_another_error(data, registry):
    try:
        event(json.loads(json.dumps(data)), {}, registry)
    except Unreadable:
        pass
