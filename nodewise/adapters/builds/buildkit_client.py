"""Which docker client of this machine can speak to BuildKit, and the private place that it works in.

BuildKit is spoken to over gRPC on a hijacked connection, which the docker SDK cannot: hence the client. One older than
version 23 has it built in (DOCKER_BUILDKIT=1); a newer one leaves it to the plugin buildx, and without that refuses.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from nodewise.adapters.builds.engine import BuildEngine
from nodewise.adapters.credentials import logins
from nodewise.adapters.managers import Client

_VERSION = re.compile(r"Docker version (\d+)\.(\d+)")
_FIRST, _PLUGIN = (18, 9), (23, 0)  # versions of the client: the first with BuildKit, the first that needs buildx
_API = (1, 39)  # of the engine: Docker 18.09, the first that builds with BuildKit without being experimental
_PROBE = 10.0  # seconds
_KEPT = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@lru_cache
def find_client(name: str) -> Path | None:
    """The first ``name`` on the PATH, or in /usr/bin, that can. None: there is none. Looked for once per process."""
    if not name:
        return None
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"]
    candidates = [Path(name)] if "/" in name else [Path(f) / name for f in folders if f]
    return next((c for c in dict.fromkeys(candidates) if os.access(c, os.X_OK) and _can(c)), None)


def offers_buildkit(client: Client) -> bool:
    """Whether the engine behind *client* builds with BuildKit for whoever asks.

    Its answer to ``/_ping`` says ``Builder-Version: 2`` where it is the default, ``1`` where its configuration
    switches it off or it cannot (Windows), and nothing before version 23, where it is there from API 1.39 on (moby,
    api/server/router/system: pingHandler; docker/cli, cmd/docker: BuildKitEnabled). Podman has the header too, but
    not BuildKit.
    """
    response = client._get(client._url("/_ping", versioned_api=False))
    client._raise_for_status(response)
    said = response.headers
    if "Libpod-Api-Version" in said or said.get("Ostype", "linux").lower() != "linux":
        return False
    if builder := said.get("Builder-Version"):
        return bool(builder == "2")
    api = re.fullmatch(r"(\d+)\.(\d+)", said.get("Api-Version", ""))
    return api is not None and (int(api[1]), int(api[2])) >= _API


@contextmanager
def workplace(build: str) -> Iterator[Path]:
    """A folder for one build's client, readable by this user alone, and gone afterwards: logins are in it."""
    with tempfile.TemporaryDirectory(prefix=_prefix(build), ignore_cleanup_errors=True) as name:
        yield Path(name)


def clear_workplaces(build: str) -> None:
    """Remove what is left of those of a worker that was killed on this machine."""
    for left in Path(tempfile.gettempdir()).glob(f"{_prefix(build)}*"):
        shutil.rmtree(left, ignore_errors=True)


def write_config(folder: Path, engine: BuildEngine, registries: frozenset[str]) -> None:
    """The client's ``config.json``: the logins of *registries*, and the plugins that this machine's user has."""
    auths = {address: _auth(config) for address, config in logins(engine.auth, registries).items()}
    config = {"auths": auths, "cliPluginsExtraDirs": [str(_users_config() / "cli-plugins")]}
    descriptor = os.open(folder / "config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(config, file)


def environment(engine: BuildEngine, folder: Path) -> dict[str, str]:
    """The client's environment, but for the build's arguments: nothing of the worker's own settings gets in."""
    host = engine.host if "://" in engine.host else f"unix://{engine.host}"
    host = re.sub(r"^https?://", "tcp://", host)
    own = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    tls = engine.tls_dir if host.startswith("tcp://") else None
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "NO_PROXY": ",".join(part for part in (own, urlsplit(host).hostname) if part),  # no proxy to one's own engine
        "HOME": str(folder),
        "LC_ALL": "C",
        "DOCKER_CONFIG": str(folder),
        "DOCKER_HOST": host,
        "DOCKER_BUILDKIT": "1",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # what is pushed is one image, and not an index with papers
        **({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tls)} if tls else {}),
    }


def taken_by_client(name: str) -> bool:
    """Whether a variable of that name would change what the client does, rather than only be read by it."""
    return name.startswith(("DOCKER_", "BUILDX_", "LD_")) or name in ("PATH", "HOME", "TMPDIR", "LC_ALL")


def _can(client: Path) -> bool:
    version = _VERSION.match(_says(client, "--version"))
    if version is None or (found := (int(version[1]), int(version[2]))) < _FIRST:
        return False
    return found < _PLUGIN or bool(_says(client, "buildx", "version"))


def _says(client: Path, *arguments: str) -> str:
    """What it prints; nothing unless it ends well."""
    with tempfile.TemporaryDirectory(prefix="nodewise-client-") as folder:
        config = {"cliPluginsExtraDirs": [str(_users_config() / "cli-plugins")]}
        (Path(folder) / "config.json").write_text(json.dumps(config))
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                [str(client), *arguments],
                env={**kept, "HOME": folder, "DOCKER_CONFIG": folder},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PROBE,
            )
            return done.stdout if done.returncode == 0 else ""
    return ""


def _users_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME", "/")) / ".docker").absolute()


def _auth(config: Mapping[str, str]) -> dict[str, str]:
    """An AuthConfig as it stands in a client's file (docker/cli, cli/config/types)."""
    pair = f"{config.get('username', '')}:{config.get('password', '')}"
    tokens = {name: config[name] for name in ("identitytoken", "registrytoken") if config.get(name)}
    return {"auth": base64.b64encode(pair.encode()).decode(), **tokens}


def _prefix(build: str) -> str:
    return f"nodewise-client-{re.sub(r'[^A-Za-z0-9]', '', build)}-"
