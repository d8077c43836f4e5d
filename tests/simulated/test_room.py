"""A build begins only where there is room for it; where there is none, images are cleaned at once."""

from __future__ import annotations

import pytest

from nodewise.domain.errors import RetryLater
from tasks.clean import CLEAN
from tasks.room import check_room
from tests.simulated.test_cleaning import built, cleaned, disk, left


def test_a_build_waits_for_room_and_has_images_removed_for_it(tmp_path):
    with cleaned(tmp_path) as w:
        images = built(w, "1.0.0", "1.1.0")
        disk(w).free = 300 * 2**20
        with pytest.raises(RetryLater) as error:
            check_room(w.deps, "engine")
        assert str(error.value).startswith("the engine engine has 300 MiB free, a build needs 1 GiB (")
        w.wait(10)
        assert left(w, images) == ["1.1.0"]
        disk(w).free = 2**30
        check_room(w.deps, "engine")


@pytest.mark.parametrize("free", [None, 2**40])
def test_an_engine_that_cannot_tell_has_room(tmp_path, free):
    with cleaned(tmp_path) as w:
        disk(w).free = free
        check_room(w.deps, "engine")


def test_the_data_folder_is_looked_at_as_well_and_nothing_is_where_that_is_switched_off(tmp_path):
    with cleaned(tmp_path, keep=None, build_min_free="1000000TiB") as w:
        with pytest.raises(RetryLater, match=r"the data folder .* a build needs"):
            check_room(w.deps, "engine")
        assert w.deps.store.waiting(CLEAN.verb, w.clock.now()) == 0
    with cleaned(tmp_path, build_min_free="0") as w:
        disk(w).free = 0
        check_room(w.deps, "engine")
