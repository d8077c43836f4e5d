"""Who is told, in nodewise.yaml: every error names the path, and no secret is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from nodewise.config.file import load_file
from nodewise.config.settings import Settings, load_settings
from nodewise.domain.errors import UserError
from nodewise.domain.told import BY_DEFAULT, State
from tests.docs import DOCS

SECRET = "hunter2-and-more"
URL = f"json://{SECRET}@host/path"
PLACE = {"kind": "github", "url": "https://api.github.com", "token": SECRET, "repositories": "github.com/acme/*"}


def loaded(data: object, folder: Path):
    path = folder / "nodewise.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_file(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"notifications": [{"on": "failed"}]}, ["notifications.0", "url or url_file"]),
        ({"notifications": [{"url": SECRET}]}, ["notifications.0", "Apprise URL"]),
        ({"notifications": [{"url": URL}, {"url": URL, "on": ["sucess"]}]}, ["notifications.1.on.0", "'succeeded'"]),
        ({"notifications": [{"url": URL, "titel": "x"}]}, ["notifications.0.titel", "'title'"]),
        ({"notifications": [{"url": URL, "body": "{srevice}"}]}, ["notifications.0.body", "{srevice}", "{service}"]),
        ({"statuses": {"hub": {**PLACE, "kind": "githup"}}}, ["statuses.hub.kind", "githup", "github"]),
        ({"statuses": {"hub": {**PLACE, "url": f"https://me:{SECRET}@api"}}}, ["statuses.hub.url", "without a login"]),
        ({"statuses": {"hub": {**PLACE, "token_file": "/t"}}}, ["statuses.hub", "token or token_file"]),
        ({"statuses": {"hub": {**PLACE, "repositories": []}}}, ["statuses.hub.repositories"]),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is_told(data, words, tmp_path: Path):
    with pytest.raises(UserError) as error:
        loaded(data, tmp_path)
    assert SECRET not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_told_is_by_default_what_ends_or_waits_for_a_person(tmp_path: Path):
    (told,) = loaded({"notifications": [{"url": URL}]}, tmp_path).notifications
    assert (tuple(told.on), told.services) == (BY_DEFAULT, ["*"])
    assert State.WAITING in told.on
    assert State.STARTED not in told.on
    assert SECRET not in repr(told)


def test_a_key_that_yaml_takes_for_true_is_the_word_that_was_written(tmp_path: Path):
    path = tmp_path / "nodewise.yaml"
    path.write_text("notifications: [{url: 'json://host', on: [failed, waiting]}]\n")
    assert load_file(path).notifications[0].on == [State.FAILED, State.WAITING]


def test_secrets_are_read_from_their_files_each_time(tmp_path: Path):
    there = tmp_path / "secret"
    place = {key: value for key, value in PLACE.items() if key != "token"}
    data = {"notifications": [{"url_file": str(there)}], "statuses": {"hub": {**place, "token_file": str(there)}}}
    found = loaded(data, tmp_path)
    for text in (URL, "json://other"):
        there.write_text(f"{text}\n")
        assert found.notifications[0].address() == found.statuses["hub"].secret() == text


def test_somebody_is_told_where_the_file_says_so(tmp_path: Path):
    path = tmp_path / "nodewise.yaml"
    for data, tells in (({}, False), ({"notifications": [{"url": URL}]}, True), ({"statuses": {"hub": PLACE}}, True)):
        path.write_text(yaml.safe_dump(data))
        assert Settings(data_dir=tmp_path, config=path).tells is tells


def test_the_public_address_is_one_without_a_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("NODEWISE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NODEWISE_PUBLIC_URL", f"https://me:{SECRET}@n.test")
    with pytest.raises(UserError, match=r"NODEWISE_PUBLIC_URL.*docs/notifications.md"):
        load_settings()


def test_the_examples_in_the_docs_are_right(tmp_path: Path):
    examples = re.findall(r"```yaml\n(.*?)```", (DOCS / "notifications.md").read_text(), re.DOTALL)
    assert examples
    for text in examples:
        found = loaded(yaml.safe_load(text), tmp_path)
        assert found.notifications or found.statuses
