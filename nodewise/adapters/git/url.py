"""Which repository addresses, refs and commits are let through to git, and how secrets are kept out of texts.

Pure. git takes options, remote helpers (``ext::sh -c …``) and host names that ssh reads as options out of
an address; everything that is not plainly one of the allowed forms is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from nodewise.domain.errors import GiveUp

_REMOTE = frozenset(("https", "http", "ssh", "git"))
_USUAL = {"https": 443, "http": 80}  # of ssh, a port that is written goes before one in the user's own configuration
_SCP = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?([A-Za-z0-9_][A-Za-z0-9_.-]*):(?![:/]{2}|:)[^-\s].*")
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UGLY_REF = re.compile(r"\.\.|@\{|//|[\x00-\x20\x7f~^:?*\[\\]|(?:^|/)\.|\.lock(?:/|$)|[./]$|^[-/]|^@$")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_SHORT = 3  # characters: a secret of fewer is part of many a word


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository's address as git gets it: for http(s) without a login, which every process could read there.

    ``login``: what was in front of the host, as it was written (``user:password``). ``site``: ``scheme://host:port`` of
    http(s), whom a password is for. ``host``: in lower case; empty for a local repository.
    """

    url: str
    login: str = ""
    site: str = ""
    host: str = ""

    @property
    def local(self) -> bool:
        return not self.host

    @property
    def name(self) -> str:
        """What a mirror of it is called: the same for addresses that differ in their login alone."""
        return hashlib.sha256(self.url.rstrip("/").encode()).hexdigest()[:32]


def parse_url(url: str, allow_local: bool) -> Remote:
    """Raises GiveUp for an address in any form but https, http, ssh, git (or a local one, where allowed)."""
    if url.startswith("-") or _CONTROL.search(url):
        raise _refused(url)
    if url.startswith(("/", "file:///")):
        if allow_local:
            return Remote(url)
        raise GiveUp(f"the repository {redact(url)} is local", "local repositories are not allowed here")
    if "://" not in url:
        if found := _SCP.fullmatch(url):
            return Remote(url, host=found[1].lower())
        raise _refused(url)
    return _parsed(url)


def _parsed(url: str) -> Remote:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused(url) from error
    login = parts.netloc.rpartition("@")[0]
    if parts.scheme not in _REMOTE or not host or host.startswith("-") or login.startswith("-"):
        raise _refused(url)
    there = f"[{host}]" if ":" in host else host
    if port and port != _USUAL.get(parts.scheme):
        there += f":{port}"
    if parts.scheme in ("https", "http"):
        bare = urlunsplit(parts._replace(netloc=there))
        return Remote(bare, login, f"{parts.scheme}://{there}", host)
    if ":" in login:
        raise GiveUp(
            f"the repository address {redact(url)!r} has a password in it", f"{parts.scheme} takes none: name a key"
        )
    user = f"{login}@" if login else ""
    return Remote(urlunsplit(parts._replace(netloc=user + there)), login, host=host)


def resolve(parent: str, url: str) -> str:
    """*url* of a submodule, as git reads it: relative to that of its *parent* where it begins with ``./``, ``../``."""
    if not url.startswith(("./", "../")):
        return url
    base, joint = parent.rstrip("/"), "/"
    while url.startswith(("./", "../")):
        up, _, url = url.partition("/")
        if up == "..":
            joint = "/" if "/" in base else ":"
            base = base.rpartition(joint)[0]
    return (base + joint + url).rstrip("/")


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


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """*text* without the login part of any address in it, and without the *secrets* in any of their spellings."""
    text = _USERINFO.sub("***@", text)
    spelt = {form for s in secrets for form in (s, unquote(s), quote(s, safe=""))}
    for secret in sorted(spelt, key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, "***")
    return text


def _refused(url: str) -> GiveUp:
    return GiveUp(
        f"the repository address {redact(url)!r} is refused",
        "allowed: https://…, http://…, ssh://…, git://…, user@host:path",
    )
