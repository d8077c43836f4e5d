"""Which repository addresses, refs and commits are let through to git, and how secrets are kept out of texts.

Pure. git takes options, remote helpers (``ext::sh -c …``) and host names that ssh reads as options out of
an address; everything that is not plainly one of the allowed forms is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from nodewise.domain.errors import GiveUp

_REMOTE = frozenset(("https", "http", "ssh", "git"))
_SCP = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.-]*:(?![:/]{2}|:)[^-\s].*")
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UGLY_REF = re.compile(r"\.\.|@\{|//|[\x00-\x20\x7f~^:?*\[\\]|(?:^|/)\.|\.lock(?:/|$)|[./]$|^[-/]|^@$")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository's address as git gets it, and the login that was in it (``user:password``), if any."""

    url: str
    host: str = ""
    login: str = ""


def parse_url(url: str, allow_local: bool) -> Remote:
    """Raises GiveUp for an address in any form but https, http, ssh, git (or a local one, where allowed)."""
    if url.startswith("-") or _CONTROL.search(url):
        raise _refused(url)
    if url.startswith(("/", "file:///")):
        if allow_local:
            return Remote(url)
        raise GiveUp(f"the repository {redact(url)} is local", "local repositories are not allowed here")
    if "://" not in url:
        if _SCP.fullmatch(url):
            return Remote(url)
        raise _refused(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        login = parts.netloc.rpartition("@")[0]
        _ = parts.port
    except ValueError as error:
        raise _refused(url) from error
    if parts.scheme not in _REMOTE or not host or host.startswith("-") or login.startswith("-"):
        raise _refused(url)
    if parts.scheme in ("https", "http") and ":" in login:
        bare = parts.netloc.rpartition("@")[2]
        return Remote(urlunsplit(parts._replace(netloc=bare)), f"{parts.scheme}://{login}@{bare}", login)
    return Remote(url, login=login)


def check_commit(commit: str) -> str:
    """A full object name in lower case. Raises GiveUp for anything else."""
    if not _COMMIT.fullmatch(commit.lower()):
        raise GiveUp(f"{commit!r} is not a commit", "a commit is 40 (or 64) hexadecimal digits")
    return commit.lower()


def check_ref(ref: str) -> str:
    """The rules of git-check-ref-format(1); an empty ref is allowed. Raises GiveUp."""
    if ref and _UGLY_REF.search(ref):
        raise GiveUp(f"{ref!r} is not a ref that git allows")
    return ref


def redact(text: str, login: str = "") -> str:
    """*text* without the login part of any address in it, and without *login*'s password anywhere."""
    text = _USERINFO.sub("***@", text)
    password = login.partition(":")[2] or login
    for secret in sorted({password, unquote(password)}, key=len, reverse=True):
        if len(secret) > 2 and login not in ("git", "ssh"):
            text = text.replace(secret, "***")
    return text


def _refused(url: str) -> GiveUp:
    return GiveUp(
        f"the repository address {redact(url)!r} is refused",
        "allowed: https://…, http://…, ssh://…, git://…, user@host:path",
    )
