"""What holds for every provider: the folder is the registry, and each describes itself."""

from __future__ import annotations

import re

import pytest
import yaml

from nodewise.config.hooks import PROVIDERS, USED_BY, HookConfig
from nodewise.domain.errors import UserError
from tests.gitrepo import HOOK
from tests.unit.providers.parts import DATA, parse
from tests.unit.providers.signers import HOOKS, secret_of
from webhooks.provider import About, names, provider


def test_the_folder_is_the_registry_and_the_configuration_knows_every_provider():
    assert tuple(names()) == tuple(sorted(PROVIDERS))
    assert {p.name for p in DATA.iterdir()} == set(PROVIDERS), "each provider has a folder of data"


@pytest.mark.parametrize("name", names())
def test_every_provider_says_what_it_is_and_what_to_enter_there(name):
    about = provider(name).ABOUT
    assert isinstance(about, About)
    assert any("{url}" in line for line in about.setup)


def test_a_hook_without_a_secret_is_no_hook():
    with pytest.raises((UserError, ValueError)):
        HookConfig(provider="git")


@pytest.mark.parametrize("name", names())
def test_every_provider_says_where_its_secret_goes_and_why_it_is_in_the_address_if_it_is(name):
    about = provider(name).ABOUT
    assert any("{secret}" in line for line in about.setup) == (name != "google-artifact-registry")
    assert any("{url}?secret={secret}" in line for line in about.setup) == bool(about.secret_in_url)


@pytest.mark.parametrize(
    ("name", "header", "content"),
    [
        ("bitbucket-cloud", "x_request_uuid", b"{}"),
        ("git", "webhook_id", b'{"repository": "shop.git", "refs": []}'),
        ("gitea", "x_gitea_delivery", b"{}"),
        ("github", "x_github_delivery", b"{}"),
        ("gitlab", "idempotency_key", b"{}"),
        ("standard-webhooks", "webhook_id", b'{"image": "registry.example/team/shop:1"}'),
    ],
)
def test_ids_that_differ_only_far_behind_are_two_keys(name, header, content):
    first, second = (parse(name, content, **{header: "i" * 200 + end}).key for end in ("1", "2"))
    assert first != second


def test_what_to_enter_at_the_git_server_is_what_the_shipped_hook_reads():
    entered = {line.split()[2] for line in provider("git").ABOUT.setup if line.startswith("git config")}
    assert entered == set(re.findall(r'"(nodewise\.\w+)"', HOOK.read_text()))


@pytest.mark.parametrize("name", names())
def test_what_to_enter_in_nodewise_yaml_are_options_that_the_provider_knows(name):
    told = "\n".join(provider(name).ABOUT.setup).partition("In nodewise.yaml")[2].splitlines()[1:]
    entered = {line.partition(":")[0] for line in told if re.match(r"[a-z]+: ", line)}
    assert all(name in USED_BY.get(key, (name,)) for key in entered)
    assert entered <= HookConfig.model_fields.keys()


@pytest.mark.parametrize("name", ["alertmanager", "distribution"])
def test_a_configuration_to_enter_is_yaml_with_address_and_secret(name):
    lines = provider(name).ABOUT.setup
    end = next((n for n, line in enumerate(lines) if line.startswith("In Prometheus")), len(lines))
    text = "\n".join(lines[1:end]).replace("{url}", "https://nodewise.example/hooks").replace("{secret}", "a: b, c]")
    assert "https://nodewise.example/hooks" in str(yaml.safe_load(text))
    assert "a: b, c]" in str(yaml.safe_load(text))


def test_the_tests_can_sign_for_every_provider_and_no_two_hooks_share_a_secret():
    assert {hook.provider for hook in HOOKS.values()} == set(names())
    assert len({secret_of(name) for name in HOOKS}) == len(HOOKS)
