"""What a new hook takes: for every provider, what is printed is what the configuration and the provider understand."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from nodewise.config.file import FileConfig
from nodewise.config.hooks import NEEDS, PROVIDERS, HookConfig
from webhooks import recipe
from webhooks.provider import names, provider

BASE = "https://nodewise.example.org"
FILE = "/var/lib/nodewise/secrets/shop"


def made(name: str, **changes) -> recipe.Recipe:
    return recipe.make("shop", name, BASE, FILE, **changes)


@pytest.mark.parametrize("name", names())
def test_the_lines_are_yaml_that_says_what_the_configuration_takes(name):
    told = made(name)
    read = yaml.safe_load("\n".join(told.lines()))
    assert read == {"shop": told.config}
    FileConfig.model_validate({"hooks": read})
    left_out = [line for line in told.lines() if line.startswith("  # ") and line.endswith(":")]
    assert len(left_out) == sum(not option.value for option in told.options)


@pytest.mark.parametrize("name", names())
def test_what_to_enter_names_the_address_and_the_secret_and_leaves_nothing_to_be_filled_in(name):
    told = made(name)
    entered = "\n".join(told.setup)
    assert f"{BASE}/hooks/{name}/shop" in entered
    assert "{url}" not in entered
    assert "{secret}" not in entered
    assert bool(told.secret) == (told.secret in entered and bool(told.file))
    assert "{secret}" not in "\n".join(told.lines())
    assert not told.secret or told.secret not in "\n".join(told.lines())


@pytest.mark.parametrize("name", names())
def test_a_secret_stands_in_an_address_only_where_the_provider_has_no_other_way(name):
    told = made(name)
    in_address = any(told.secret and f"={told.secret}" in line and told.url in line for line in told.setup)
    assert in_address == bool(provider(name).ABOUT.secret_in_url)


def test_every_secret_is_new_and_long():
    first, second = made("github").secret, made("github").secret
    assert first != second
    assert len(first) >= 43


def test_where_webhooks_are_standard_the_secret_is_too_unless_a_plain_one_is_asked_for():
    standard = {name for name in names() if made(name).secret.startswith("whsec_")}
    assert standard == {"git", "gitlab", "standard-webhooks"}
    assert len(base64.b64decode(made("git").secret.removeprefix("whsec_"), validate=True)) == 32
    assert not made("gitlab", plain=True).secret.startswith("whsec_")


def test_the_name_stands_in_the_address_unless_it_is_the_providers():
    assert recipe.make("github", "github", f"{BASE}/", FILE).url == f"{BASE}/hooks/github"


def test_names_and_paths_that_yaml_takes_for_something_else_are_quoted():
    for name in ("1.5", "yes", "null", "2026-01-01"):
        told = recipe.make(name, "github", BASE, "/a b, c/#1")
        read = yaml.safe_load("\n".join(told.lines()))
        assert read == {name: {"provider": "github", "secrets_files": ["/a b, c/#1"]}}, json.dumps(read)


def test_an_option_that_is_needed_is_one_that_the_configuration_asks_for():
    for option, providers in NEEDS.items():
        for name in providers:
            complete = made(name).config
            with pytest.raises(ValueError, match=option):
                HookConfig.model_validate({k: v for k, v in complete.items() if k != option})
    for name in PROVIDERS:
        needed = {o.name for o in made(name).options if o.value}
        assert needed == {option for option, providers in NEEDS.items() if name in providers}
