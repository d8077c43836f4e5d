"""Where the API is, and with what token it is asked."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from nodewise.client import ApiClient

URL, TOKEN = "NODEWISE_URL", "NODEWISE_TOKEN"
_ANY = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104
_HERE = ("127.0.0.1", "localhost", "::1")


def api_client() -> ApiClient:
    """The client for NODEWISE_URL and NODEWISE_TOKEN; else for the Nodewise of this machine's settings."""
    url, token = os.environ.get(URL, "").strip(), os.environ.get(TOKEN, "").strip()
    if url and token:
        return ApiClient(url, token)
    from nodewise.config.settings import load_settings

    settings = load_settings()
    own = own_url(settings.listen)
    url = url or own
    return ApiClient(url, token or (admin_token(Path(settings.data_dir)) if is_own(url, own) else ""))


def own_url(listen: str) -> str:
    """Where a Nodewise that listens on *listen* (host:port) is reached from its own machine."""
    host, _, port = listen.rpartition(":")
    bare = host.strip("[]")
    return f"http://{_ANY.get(bare, f'[{bare}]' if ':' in bare else bare)}:{port}"


def is_own(url: str, own: str) -> bool:
    """Whether *url* is this machine's Nodewise. Its admin token is shown to nobody else."""
    return url.rstrip("/") == own or urlsplit(url).hostname in _HERE


def admin_token(data_dir: Path) -> str:
    """The token that the web process left for this machine's owner; empty when it cannot be read."""
    try:
        return (data_dir / "admin.token").read_text().strip()
    except OSError:
        return ""
