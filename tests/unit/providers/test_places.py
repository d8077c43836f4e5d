"""Where in a body something is wrong."""

from __future__ import annotations

import pytest

from webhooks.bodies import at, text
from webhooks.provider import Unreadable
from webhooks.providers._changes import each


def no_image(_: object) -> str:
    raise Unreadable("':1' is no image")


def test_what_is_wrong_in_one_of_several_is_told_with_its_place_whether_it_names_a_field_or_not():
    told = []
    for read in (no_image, lambda item: text(item, "ref")):
        with pytest.raises(Unreadable) as error, at("push"):
            each({"changes": [{}]}, "changes", read)
        told.append((error.value.what, error.value.field))
    assert told == [
        ("push.changes[0]: ':1' is no image", "push.changes[0]"),
        ("push.changes[0].ref is missing", "push.changes[0].ref"),
    ]
