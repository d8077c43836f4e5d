"""Checkouts with the git command line: ``nodewise.ports.Git``.

Everything that came from outside is data: checked first (``git_url``), after ``--`` where git has one, and
run with hooks, submodules, prompts, foreign protocols and the system's configuration switched off. A login
in an address goes to git through a private file, not through its arguments, which every process can read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nodewise.adapters.git_url import Remote, check_commit, check_ref, parse_url, redact
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater

_KEPT = (
    "PATH",
    "HOME",
    "TMPDIR",
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
_SETTINGS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# git's own words (and curl's and ssh's that it passes on), by what the caller can do about them.
_ACCESS = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "host key verification failed",
    "error: 401",
    "error: 403",
)
_NETWORK = (
    "could not resolve",
    "couldn't resolve",
    "connection refused",
    "connection reset",
    "connection timed out",
    "connection was reset",
    "operation timed out",
    "failed to connect",
    "couldn't connect",
    "unable to connect",
    "no route to host",
    "network is unreachable",
    "temporary failure",
    "early eof",
    "hung up unexpectedly",
    "rpc failed",
    "error: 429",
    "error: 5",
    "gnutls recv error",
    "connection closed by",
    "empty reply from server",
)


class _Failed(Exception):
    """git ended with an error; its own words."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class GitCli:
    """git as a child process. *timeout*: seconds for one whole checkout; then the process group is killed.

    *allow_local*: let absolute paths and ``file:///`` through, which only tests and single machines want.
    """

    def __init__(self, timeout: float = 300.0, allow_local: bool = False) -> None:
        self._timeout = timeout
        self._allow_local = allow_local

    def checkout(self, url: str, ref: str, commit: str, into: Path) -> None:
        """Exactly *commit* (or the commit that the tag object *commit* names), in the empty folder *into*.

        *ref* is where to look for it on servers that give out only what a ref leads to. Raises GiveUp (no
        such repository, no such commit, no access) or RetryLater (network), with git's own words.
        """
        remote, ref, commit = parse_url(url, self._allow_local), check_ref(ref), check_commit(commit)
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise GiveUp(f"the folder for the checkout of {redact(url)} is not empty")
        with _private_config(remote) as config:
            run = _Git(into, _environment(config, self._allow_local), time.monotonic() + self._timeout)
            try:
                _checkout(run, remote, ref, commit)
            except _Failed as error:
                raise _translated(redact(url), redact(error.words, remote.login)) from None


@dataclass(frozen=True, slots=True)
class _Git:
    """How git is run for one checkout."""

    folder: Path
    environment: Mapping[str, str]
    until: float

    def __call__(self, *arguments: str) -> str:
        """Its output. Raises _Failed, or RetryLater when the time is over."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        process = subprocess.Popen(
            ["git", *settings, "-C", str(self.folder), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=max(0.1, self.until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise RetryLater("git did not finish in time", delay=30.0) from error
        finally:
            if process.poll() is None:  # with all its children: ssh, remote helpers
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode:
            raise _Failed(err.strip() or out.strip() or f"exit code {process.returncode}")
        return out.strip()


def _checkout(git: _Git, remote: Remote, ref: str, commit: str) -> None:
    git("init", "--quiet", "--template=", f"--object-format={'sha1' if len(commit) == 40 else 'sha256'}")
    try:
        git("fetch", "--quiet", "--depth=1", "--no-tags", "--", remote.url, commit)
    except _Failed as error:
        if not ref or _is_one_of(error.words, _NETWORK + _ACCESS):
            raise
        git("fetch", "--quiet", "--no-tags", "--", remote.url, f"+{ref}:refs/nodewise/{ref}")
    try:
        wanted = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    except _Failed:
        raise _Failed(f"there is no commit {commit} in {ref or 'the repository'} (any more)") from None
    git("checkout", "--quiet", "--detach", wanted)
    head = git("rev-parse", "HEAD")
    if head != wanted:
        raise _Failed(f"git checked out {head} instead of {wanted}")


def _environment(config: Path, allow_local: bool) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
        **kept,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git" + (":file" if allow_local else ""),
    }


@contextmanager
def _private_config(remote: Remote) -> Iterator[Path]:
    """A global configuration for one checkout, readable by this user alone.

    A file, because git does not hand ``-c`` settings on to the process that serves a local repository, and
    that one is where the question of ownership (safe.directory) comes up. The user's own is included.
    """
    with tempfile.TemporaryDirectory(prefix="nodewise-git-") as name:
        config = Path(name) / "config"
        lines = ["[include]", "path = ~/.gitconfig", "[safe]", "directory = *"]
        if remote.host:
            logins = Path(name) / "logins"
            logins.touch(mode=0o600)
            logins.write_text(remote.host + "\n")
            lines += ["[credential]", f'helper = "store --file={logins}"']
        config.write_text("\n".join(lines) + "\n")
        yield config


def _translated(url: str, text: str) -> NodewiseError:
    what = f"git cannot get {url}: {text}"
    if _is_one_of(text, _ACCESS):
        return GiveUp(what, "give it a key or a token that may read this repository")
    if _is_one_of(text, _NETWORK):
        return RetryLater(what, delay=10.0)
    return GiveUp(what)


def _is_one_of(text: str, known: tuple[str, ...]) -> bool:
    text = text.lower()
    return any(words in text for words in known)
