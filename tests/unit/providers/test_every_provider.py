"""What holds for every provider: the folder is the registry, and each describes itself."""

from __future__ import annotations

import pytest

from nodewise.config.hooks import PROVIDERS, HookConfig
from nodewise.domain.errors import UserError
from tests.unit.providers.parts import DATA
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
