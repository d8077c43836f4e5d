"""Registry credentials in the shape that the Engine API wants them. Knows no registry and no file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping

from nodewise.domain.images import HUB

# Registry name (``docker.io``, ``registry.example.com:5000``) -> username, password (or identitytoken), or None.
# Asked anew for every request, because tokens of cloud registries expire.
RegistryAuth = Callable[[str], Mapping[str, str] | None]

_HUB_KEY = "https://index.docker.io/v1/"  # what engines call Docker Hub in AuthConfig


def address_of(registry: str) -> str:
    """The name under which an engine looks for this registry's credentials."""
    return _HUB_KEY if registry == HUB else registry


def auth_config(auth: RegistryAuth, registry: str) -> dict[str, str] | None:
    """The AuthConfig for *registry*, or None where none is configured."""
    found = auth(registry)
    return {"serveraddress": address_of(registry), **found} if found else None


def encoded(config: object) -> str:
    """The value of an ``X-Registry-Auth`` or ``X-Registry-Config`` header (base64url, padded)."""
    return base64.urlsafe_b64encode(json.dumps(config).encode()).decode()


def logins(auth: RegistryAuth, registries: Iterable[str]) -> dict[str, dict[str, str]]:
    """The AuthConfigs of *registries* by the address that engines and clients look for; of those that have one."""
    found = {address_of(r): auth_config(auth, r) for r in registries}
    return {address: config for address, config in found.items() if config}


def auth_headers(auth: RegistryAuth, registry: str) -> dict[str, str]:
    """The header that carries the credentials along, or none: then the engine uses what it has stored."""
    config = auth_config(auth, registry)
    return {"X-Registry-Auth": encoded(config)} if config else {}
