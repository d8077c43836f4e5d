"""Texts that a sender may choose and a database may not like: taken, and given back fit to be shown, on both."""

from __future__ import annotations

import pytest

from nodewise.domain.events import AlertFired, CodePushed, ImagePushed, to_dict
from nodewise.store import Store
from tests.contract.store_parts import NOW, delivery

AWKWARD = {
    "NUL": "a\0b",
    "half a surrogate pair": "a\ud800b",
    "the other half": "a\udfffb",
    "beyond the basic plane": "a\U0001f44db",
    "right to left": "a\u202eb",
    "quotes and backslashes": "'\"\\u0000\\",
    "long": "x" * 5000,
}


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
def test_a_delivery_is_taken_whatever_its_texts_are_made_of(store: Store, text: str):
    events = (
        CodePushed(text, text, text, text, text, text),
        ImagePushed(text, text, text),
        AlertFired(text, text, text, text),
    )
    new = delivery(text, note=text, events=events, body_digest="sha256:1")
    taken = store.accept(new, NOW)
    assert (taken.created, store.accept(new, NOW).delivery_id) == (True, taken.delivery_id)
    (found,) = store.deliveries()
    stored = store.delivery_events(taken.delivery_id)
    assert {type(e.event) for e in stored} == {type(e) for e in events}
    shown = [found.key, found.note, *(str(value) for e in stored for value in to_dict(e.event).values())]
    assert b"\0" not in "".join(shown).encode()
    assert len(found.key) <= 200


def test_a_text_that_needs_no_care_comes_back_as_it_was(store: Store):
    text = "a\U0001f44d\u202e'\"\\u0000\\"
    event = CodePushed(text, text, text, text, text, text)
    taken = store.accept(delivery(text, note=text, events=(event,)), NOW)
    (found,), (stored,) = store.deliveries(), store.delivery_events(taken.delivery_id)
    assert (found.key, found.note, stored.event) == (text, text, event)


@pytest.mark.parametrize("ends", [("\0", "\ufffd"), ("\ud800", "\udfff"), ("x" * 300 + "a", "x" * 300 + "b")])
def test_two_keys_stay_two_however_they_have_to_be_written(store: Store, ends: tuple[str, str]):
    taken = [store.accept(delivery(f"key{end}"), NOW) for end in ends]
    assert [t.created for t in taken] == [True, True]
