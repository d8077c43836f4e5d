"""With what git goes to a server: the environment, a configuration and keys in a folder that nobody else reads.

Secrets go to git through files: arguments and environments can be read by others, and are printed in errors.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from nodewise.adapters.git.url import Remote
from nodewise.config.secrets import read_secret
from nodewise.domain.errors import GiveUp, UserError
from nodewise.domain.recipe import Access

REMOTE = "https:http:ssh:git"  # protocols
LOCAL = "file"

_KEPT = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_SSH = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "StrictHostKeyChecking=yes")
_NO_LFS = ('[filter "lfs"]', "clean =", "smudge =", "process =", "required = false")


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a repository, read from its files: the ``login`` (``user:password``, percent-encoded) for one
    ``site``, the ssh key for one ``host``. ``known_hosts`` is no secret and holds for every server.
    """

    site: str = ""
    login: str = ""
    host: str = ""
    key: str = ""
    known_hosts: str = ""

    @classmethod
    def read(cls, remote: Remote, access: Access) -> Keys:
        """Those of *access* for the place of *remote*. Raises GiveUp naming the setting, never what is in the file."""
        login, token = remote.login, _content(access.token, "token")
        if token:
            login = f"{quote(access.username, safe='')}:{quote(token, safe='')}"
        key, known_hosts = _content(access.key, "key"), _content(access.known_hosts, "known_hosts")
        return cls(remote.site, login if remote.site else "", remote.host, key, known_hosts)

    def login_for(self, remote: Remote) -> str:
        """An address' own login goes before; that of another site is nobody's business."""
        if self.site and self.site == remote.site:
            return self.login or remote.login
        return remote.login if remote.site else ""

    def key_for(self, remote: Remote) -> str:
        return self.key if self.host and self.host == remote.host else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in any text."""
        return secrets_of(self.login)


def secrets_of(login: str) -> tuple[str, ...]:
    """The password of a login; of one without a password its name, which may well be a token."""
    user, colon, password = login.partition(":")
    return tuple(secret for secret in ((password if colon else user),) if secret not in ("", "git"))


def environment(remote: Remote, keys: Keys, room: Path, protocols: str) -> dict[str, str]:
    """For git on its way to *remote*. What it needs is written below *room*, readable by this user alone."""
    folder = Path(tempfile.mkdtemp(prefix="access-", dir=room))  # of mode 0700
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        **_ssh(folder, keys.key_for(remote), keys.known_hosts),
        "TMPDIR": str(folder),
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_config(folder, remote, keys.login_for(remote))),
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


def _ssh(folder: Path, key: str, known_hosts: str) -> dict[str, str]:
    """Hosts that are not known are never believed, and nobody is asked."""
    options = list(_SSH)
    if known_hosts:
        path = _written(folder / "known_hosts", known_hosts)
        options += [f'UserKnownHostsFile="{_plain(path)}"', "GlobalKnownHostsFile=/dev/null"]
    if key:
        path = _written(folder / "key", key.replace("\r\n", "\n"))
        options += [f'IdentityFile="{_plain(path)}"', "IdentitiesOnly=yes", "IdentityAgent=none"]
    if not key and not known_hosts and "GIT_SSH_COMMAND" in os.environ:
        return {}
    return {"GIT_SSH_COMMAND": shlex.join(["ssh", *(part for option in options for part in ("-o", option))])}


def _plain(path: Path) -> str:
    """A path in which ssh finds nothing to fill in."""
    return str(path).replace("%", "%%")


def _config(folder: Path, remote: Remote, login: str) -> Path:
    """A global configuration for one use. The user's own is included, but for what it says of LFS.

    A file, because git does not hand ``-c`` settings on to the process that serves a local repository, and
    that one is where the question of ownership (safe.directory) comes up.
    """
    lines = ["[include]", "path = ~/.gitconfig"] if "HOME" in os.environ else []
    lines += ["[safe]", "directory = *", "[http]", "lowSpeedLimit = 1", "lowSpeedTime = 120", *_NO_LFS]
    user, colon, _ = login.partition(":")
    if colon:  # no helper of the user's own gets to see it, who might keep it
        logins = _written(folder / "logins", remote.site.replace("://", f"://{login}@"))
        lines += ["[credential]", "helper =", f'helper = "store --file={shlex.quote(str(logins))}"']
    if user:
        lines += [f'[credential "{remote.site}"]', f"username = {_quoted(unquote(user))}"]
    return _written(folder / "config", "\n".join(lines))


def _quoted(text: str) -> str:
    """*text* as a value in a configuration of git."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\x00", "")
    return f'"{text}"'


def _written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


def _content(path: str, setting: str) -> str:
    if not path:
        return ""
    try:
        return read_secret(Path(path), f"access.{setting}")
    except UserError as error:
        raise GiveUp(error.what, error.hint) from None
