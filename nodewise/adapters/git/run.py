"""git as a child process: how it is run, how it is ended, and what its words mean for the caller.

Knows no repository. Hooks, prompts, foreign protocols, the system's configuration and git's own housekeeping
in the background are switched off for each call.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nodewise.adapters.git.url import redact
from nodewise.domain.errors import GiveUp, NodewiseError, RetryLater

_SETTINGS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "advice.detachedHead=false",
    "gc.auto=0",
    "gc.autoDetach=false",
    "maintenance.auto=false",
    "safe.bareRepository=explicit",
)
# git's own words (and curl's and ssh's that it passes on), by what the caller can do about them.
_HOST_KEY = ("host key verification failed",)
ACCESS = (
    *_HOST_KEY,
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "error: 401",
    "error: 403",
)
NETWORK = (
    "could not resolve",
    "couldn't resolve",
    "connection refused",
    "connection reset",
    "connection timed out",
    "connection was reset",
    "operation timed out",
    "operation too slow",
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
_REMOTE = (
    "there is no commit",
    "not our ref",
    "unadvertised object",
    "couldn't find remote ref",
    "not found",
    "does not exist",
    "does not appear to be a git repository",
    "could not read from remote repository",
    "unable to access",
    "repository not exported",
    "not allowed",
)


class Failed(Exception):
    """git ended with an error; its own words."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

    def says(self, *known: str) -> bool:
        """Whether one of the *known* words (in lower case) is among git's."""
        text = self.words.lower()
        return any(words in text for words in known)

    @property
    def of_the_other_side(self) -> bool:
        """Whether the other side or the way there is at fault, and not what is kept on this machine."""
        return self.says(*ACCESS, *NETWORK, *_REMOTE)


class Late(Exception):
    """git was not done in time, and was ended."""


def _nobody(pid: int) -> None:
    """Where nobody wants to know which process runs."""


@dataclass(frozen=True, slots=True)
class Git:
    """How git is run. ``place``: the options that say where. ``until``: on the monotonic clock. ``tell``: gets the id
    of each process, which leads a group and a session of its own.
    """

    environment: Mapping[str, str]
    until: float
    place: tuple[str, ...] = ()
    tell: Callable[[int], None] = _nobody

    def bare(self, folder: Path) -> Git:
        """The same for the bare repository *folder*."""
        return replace(self, place=("--git-dir", str(folder)))

    def tree(self, folder: Path) -> Git:
        """The same for the checkout *folder*; no repository around it is ever looked for."""
        return replace(self, place=("-C", str(folder), "--git-dir", str(folder / ".git"), "--work-tree", str(folder)))

    def allowing(self, protocols: str, **more: str) -> Git:
        """The same with these *protocols* alone (``https:ssh``), and *more* in its environment."""
        return replace(self, environment={**self.environment, "GIT_ALLOW_PROTOCOL": protocols, **more})

    def __call__(self, *arguments: str, settings: Iterable[str] = ()) -> str:
        """What git printed. Raises Failed, Late, or GiveUp where there is no git."""
        options = [part for setting in (*_SETTINGS, *settings) for part in ("-c", setting)]
        process = _started(["git", *options, *self.place, *arguments], self.environment)
        self.tell(process.pid)
        try:
            out, err = process.communicate(timeout=max(0.1, self.until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Late from None
        finally:
            if process.returncode is None:
                _end(process)
        if process.returncode:
            raise Failed(err.strip() or out.strip() or f"exit code {process.returncode}")
        return out


def _started(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise GiveUp("git is not installed on this machine", "install git where the worker runs") from error


def _end(process: subprocess.Popen[str]) -> None:
    """End it with all its children: ssh, remote helpers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


@contextmanager
def translated(url: str, secrets: Iterable[str]) -> Iterator[None]:
    """What git says of *url*, as an error for the caller: RetryLater for the network, GiveUp otherwise. No secrets."""
    try:
        yield
    except Late:
        raise RetryLater(f"git did not finish in time with {redact(url)}", delay=30.0) from None
    except Failed as error:
        raise _translation(f"git cannot get {redact(url)}: {redact(error.words, secrets)}", error) from None


def _translation(what: str, error: Failed) -> NodewiseError:
    if error.says(*_HOST_KEY):
        return GiveUp(what, "put the server's host key into the file that known_hosts names")
    if error.says(*ACCESS):
        return GiveUp(what, "give it a key or a token that may read this repository")
    if error.says(*NETWORK):
        return RetryLater(what, delay=10.0)
    return GiveUp(what)
