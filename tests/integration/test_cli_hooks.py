"""nodewise hook add and list, as typed. What add prints is put to work: configured, signed with, delivered to."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import yaml
from click.testing import Result
from typer.testing import CliRunner

from nodewise.cli import app
from tests.integration.web_parts import open_deps, serving, settings_in
from tests.product import free_port
from workers import hooks
from workers.web import make_web_app

Typed = Callable[..., Result]
DATA = Path(__file__).parents[1] / "data" / "webhooks"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The command line on a machine of its own, whose nodewise.yaml is there and empty."""
    assert hooks.add in [command.callback for command in hooks.hooks.registered_commands]
    (tmp_path / "nodewise.yaml").write_text("")
    settings_in(tmp_path, monkeypatch, free_port(), NODEWISE_CONFIG=str(tmp_path / "nodewise.yaml"))
    return lambda *words: CliRunner().invoke(app, ["hook", *words])


def configure(folder: Path, **found: dict) -> None:
    (folder / "nodewise.yaml").write_text(yaml.safe_dump({"hooks": found}))


def test_what_is_printed_works_at_both_ends(typed: Typed, tmp_path: Path) -> None:
    told = json.loads(typed("add", "github", "--name", "shop", "--url", "https://ci.example.org", "--json").stdout)
    assert told["url"] == "https://ci.example.org/hooks/github/shop"
    (file,) = map(Path, told["config"]["secrets_files"])
    file.parent.mkdir(parents=True)
    file.write_text(told["secret"] + "\n")
    configure(tmp_path, shop=told["config"])
    deps = open_deps()
    body = (DATA / "github" / "push.json").read_bytes()
    signature = "sha256=" + hmac.new(told["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1"}
    with serving(make_web_app(deps)) as url:
        address = told["url"].replace("https://ci.example.org", url)
        assert requests.post(address, body, headers=headers, timeout=60).status_code == 401
        headers["X-Hub-Signature-256"] = signature
        assert requests.post(address, body, headers=headers, timeout=60).status_code == 202
    (listed,) = json.loads(typed("list", "--json").stdout)["hooks"]
    assert (listed["name"], listed["path"], listed["secrets"]) == ("shop", "/hooks/github/shop", 1)
    assert listed["rejected"] == 1
    assert listed["last_delivery"]
    deps.store.close()


def test_the_secret_is_told_for_the_file_and_for_the_provider_and_stands_in_no_address(typed: Typed) -> None:
    told = typed("add", "github", "--url", "https://ci.example.org")
    assert told.exit_code == 0
    secret = re.search(r"^     ([\w-]{43})$", told.stdout, re.MULTILINE)
    assert secret
    assert f"     Secret: {secret[1]}\n" in told.stdout
    assert "     Payload URL: https://ci.example.org/hooks/github\n" in told.stdout
    assert told.stdout.count(secret[1]) == 2
    prose = [line for line in told.stdout.splitlines() if not line.startswith(("     ", "2. "))]
    assert max(map(len, prose)) <= 90


def test_a_secret_in_an_address_is_told_with_the_reason(typed: Typed) -> None:
    told = typed("add", "docker-hub", "--url", "https://ci.example.org").stdout
    assert "?secret=" in told
    assert "The secret stands in the address: Docker Hub signs nothing" in told


def test_what_a_provider_needs_is_asked_for_with_its_meaning(typed: Typed) -> None:
    told = typed("add", "google-artifact-registry", "--url", "https://ci.example.org").stdout
    assert "1. No secret is needed" in told
    assert "     # The service account whose tokens they are.\n       account: ACCOUNT\n" in told.replace(
        "       #", "     #"
    )
    assert "       audience: https://ci.example.org/hooks/google-artifact-registry\n" in told


def test_without_an_address_this_machines_own_is_told_as_such(typed: Typed) -> None:
    told = typed("add", "gitlab").stdout
    assert re.search(r"URL: http://127\.0\.0\.1:\d+/hooks/gitlab\n", told)
    assert "give --url https://HOST" in told
    assert "without https" in typed("add", "gitlab", "--url", "http://ci.example.org").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("githup",), 2, "there is no provider 'githup'; did you mean 'github'?"),
        (("github", "--name", "a/b"), 2, "'a/b' is no name for a hook"),
        (("github", "--url", "ci.example.org"), 2, "what --url gives is no address"),
        (("github", "--url", "https://me:word@ci.example.org"), 2, "without a login"),
    ],
)
def test_what_is_asked_for_in_the_wrong_way_is_told_with_the_way_out(typed: Typed, words, code, said) -> None:
    refused = typed("add", *words)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in refused.stderr
    assert "word@" not in refused.stderr


def test_a_name_that_is_taken_is_refused_and_rotation_is_hinted_at(typed: Typed, tmp_path: Path) -> None:
    configure(tmp_path, github={"provider": "github", "secrets": ["word"]})
    refused = typed("add", "github")
    assert refused.exit_code == 1
    assert "two may be in force" in refused.stderr
    assert typed("add", "github", "--name", "other").exit_code == 0


def test_the_list_shows_every_hook_and_no_secret(typed: Typed, tmp_path: Path) -> None:
    assert "'nodewise hook add PROVIDER' begins one" in typed("list").stdout
    configure(
        tmp_path,
        distribution={"provider": "distribution", "secrets": ["the-first-word", "the-second-word"]},
        shop={"provider": "github", "secrets": ["a-third-word"]},
    )
    head, *rows = (" ".join(line.split()) for line in typed("list").stdout.splitlines())
    assert head == "HOOK PROVIDER SECRETS LAST DELIVERY REJECTED ADDRESS"
    assert rows == [
        "distribution distribution 2 never 0 /hooks/distribution",
        "shop github 1 never 0 /hooks/github/shop",
    ]
    for words in (("list",), ("list", "--json")):
        assert "-word" not in typed(*words).stdout
