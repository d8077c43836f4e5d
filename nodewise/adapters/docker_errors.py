"""What an engine's error texts mean, and which of our errors each becomes. Sends nothing itself.

Engines report nearly everything as HTTP 500 with a sentence, so the sentences have to be read. They are
those of moby, swarmkit, containerd and distribution.
"""

from __future__ import annotations

from enum import Enum

from docker.errors import APIError

from nodewise.domain.errors import Conflict, GiveUp, NodewiseError, NotFound, OutOfSequence, RetryLater, UserError
from nodewise.domain.images import ImageName

CREDENTIALS_HINT = "set its login under 'registries:' in nodewise.yaml"


class Trouble(Enum):
    """What a registry's refusal amounts to."""

    MISSING = "missing"
    DENIED = "denied"
    BUSY = "busy"
    INSECURE = "insecure"
    UNREACHABLE = "unreachable"
    OTHER = "other"


# The order matters: "no such host" is about the network, "not found" about the image.
_REGISTRY_WORDS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    (Trouble.BUSY, ("toomanyrequests", "too many requests", "pull rate limit")),
    (Trouble.INSECURE, ("server gave http response to https client", "x509:", "tls: failed to verify")),
    (
        Trouble.UNREACHABLE,
        (
            "no such host",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "timeout exceeded",
            "timed out",
            "deadline exceeded",
            "handshake timeout",
            "network is unreachable",
            "no route to host",
            "server misbehaving",
            "temporary failure in name resolution",
            "broken pipe",
            "unexpected eof",
            ": eof",
            "request canceled",
            "service unavailable",
            "bad gateway",
            "internal server error",
            "unexpected http status: 5",
            "unexpected status code 5",
            "unexpected status: 5",
        ),
    ),
    (
        Trouble.DENIED,
        (
            "unauthorized",
            "denied",
            "authentication required",
            "no basic auth credentials",
            "authorization failed",
            "insufficient_scope",
            "forbidden",
        ),
    ),
    (
        Trouble.MISSING,
        ("manifest unknown", "name unknown", "not found", "no such manifest", "unknown manifest"),
    ),
)

_NOT_MANAGING = (
    "not a swarm manager",
    "does not have a leader",
    "not part of a swarm",
    "swarm is locked",
    "encrypted and needs to be unlocked",
)
_PASSING = (
    "context deadline exceeded",
    "code = unavailable",
    "code = deadlineexceeded",
    "code = canceled",
    "code = aborted",
    "code = resourceexhausted",
    "raft: ",
)


def words(error: BaseException) -> str:
    """An error in the shortest words that still say what happened; never the URL it happened at."""
    root = error
    while not isinstance(root, APIError) and (root.__cause__ or root.__context__):
        root = root.__cause__ or root.__context__ or root
    if isinstance(root, APIError):
        return (root.explanation or f"HTTP {root.status_code}").strip()
    text = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return text or type(root).__name__


def manages_nothing(error: APIError) -> bool:
    """Whether another manager may know better: this host is none, is cut off, or sees no leader."""
    text = words(error).lower()
    return error.status_code == 503 or any(w in text for w in _NOT_MANAGING + _PASSING)


def registry_trouble(text: str, status: int | None = None) -> Trouble:
    """Sort what an engine says about a registry."""
    text = text.lower()
    for trouble, known in _REGISTRY_WORDS:
        if any(w in text for w in known):
            return trouble
    if status in (401, 403):
        return Trouble.DENIED
    return Trouble.MISSING if status == 404 else Trouble.OTHER


def resolve_error(image: ImageName, text: str, status: int | None) -> NodewiseError:
    """Why *image* could not be looked up. UserError (NotFound when there is no such image) or RetryLater."""
    trouble = registry_trouble(text, status)
    registry, name = image.registry, str(image)
    if trouble is Trouble.MISSING:
        return NotFound(f"the registry {registry} has no image {name}", "push it first, or mend the tag", field="image")
    if trouble is Trouble.DENIED:
        return UserError(
            f"the registry {registry} refuses access to {name}: {text}",
            f"{CREDENTIALS_HINT}; Docker Hub says the same of repositories that do not exist",
            field="image",
        )
    if trouble is Trouble.INSECURE:
        return UserError(f"the engine does not trust the registry {registry}: {text}", _INSECURE_HINT, "image")
    if status == 400:
        return UserError(f"the image name {name} is refused: {text}", field="image")
    return RetryLater(
        f"the registry {registry} does not answer for {name}: {text}",
        delay=60.0 if trouble is Trouble.BUSY else 5.0,
    )


def transfer_error(doing: str, image: ImageName, text: str, status: int | None = None) -> NodewiseError:
    """Why *image* could not be pushed or pulled (*doing*: ``pushing``, ``pulling``): RetryLater or GiveUp."""
    trouble = registry_trouble(text, status)
    what = f"{doing} {image} failed: {text}"
    if trouble is Trouble.DENIED:
        return GiveUp(what, f"the registry {image.registry} refuses: {CREDENTIALS_HINT}")
    if trouble is Trouble.INSECURE:
        return GiveUp(what, _INSECURE_HINT)
    if trouble in (Trouble.UNREACHABLE, Trouble.BUSY):
        return RetryLater(what, delay=60.0 if trouble is Trouble.BUSY else 5.0)
    return GiveUp(what)


def base_error(what: str, text: str) -> NodewiseError:
    """Why a build ended at a base image. *text*: the engine's words; *what*: what the reader is told.

    RetryLater where its registry is out of reach, otherwise GiveUp.
    """
    trouble = registry_trouble(text)
    if trouble in (Trouble.UNREACHABLE, Trouble.BUSY):
        return RetryLater(what, delay=30.0)
    if trouble is Trouble.INSECURE:
        return GiveUp(what, f"{_INSECURE_HINT}, for BuildKit as http://HOST:PORT")
    return GiveUp(what, f"for a private base image, {CREDENTIALS_HINT}" if trouble is Trouble.DENIED else "")


def update_error(error: APIError) -> NodewiseError:
    """Why a service could not be written: OutOfSequence, RetryLater, or GiveUp with the engine's words."""
    text = words(error)
    if "update out of sequence" in text:
        return OutOfSequence("the service was changed between reading and writing it", text, delay=0.1)
    if manages_nothing(error) or error.status_code in (429, 502, 504):
        return RetryLater(f"the swarm cannot take the update now: {text}")
    return GiveUp(f"the engine refuses the update: {text}")


def create_error(name: str, error: APIError) -> NodewiseError:
    """Why a service could not be made: Conflict where its name is taken, RetryLater, or GiveUp."""
    text = words(error)
    if error.status_code == 409 or "name conflicts with an existing object" in text:
        return Conflict(f"there is a service {name} already", "remove it, or choose another name")
    if manages_nothing(error) or error.status_code in (429, 502, 504):
        return RetryLater(f"the swarm cannot make the service {name} now: {text}")
    return GiveUp(f"the engine refuses to make the service {name}: {text}")


def read_error(error: APIError) -> NodewiseError:
    """Why something could not be read: RetryLater for the engine's faults, GiveUp for ours.

    What is asked for may have been removed a moment ago: then the next look will not ask for it.
    """
    text = f"the engine refuses to answer: {words(error)}"
    if error.status_code == 404:
        return RetryLater(text, delay=0.2)
    return GiveUp(text) if error.is_client_error() else RetryLater(text)


_INSECURE_HINT = "give the engines its CA certificate, or list it as an insecure registry on every node"
