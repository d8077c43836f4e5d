"""The base image, made while others have the lab: it needs no engine until it is imported into one."""

from __future__ import annotations

import os
import tarfile

import pytest

from tests.lab import base_image
from tests.lab.lab import lab_dir, why_not


@pytest.mark.seconds(70)
@pytest.mark.timeout(900)
def test_the_base_image_has_what_the_stack_runs():
    if reason := why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tarfile.open(base_image.archive(lab_dir())) as archive:
        there = {name.removeprefix("./") for name in archive.getnames()}
    assert {f"usr/bin/{name}" for name in ("python3", "git", "redis-server", "docker-registry")} <= there
