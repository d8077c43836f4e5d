"""One question to a registry: at which address, with which login, and what the answer's status means.

It asks politely: with the ETag of what it knows already, not before it is told to, and less and less often where there
is no answer. A login goes to the registry and to the token server that it names. Neither is in an error.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nodewise.adapters.credentials import RegistryAuth
from nodewise.adapters.docker_errors import CREDENTIALS_HINT
from nodewise.adapters.registry import challenges
from nodewise.adapters.registry.challenges import Challenge
from nodewise.adapters.registry.pauses import Pauses
from nodewise.adapters.registry.session import Answer, RegistrySession, origin, url_of
from nodewise.domain.errors import NodewiseError, NotFound, RetryLater, UserError
from nodewise.domain.images import ImageName

KEPT, KEPT_SIZE = 512, 65536  # answers that are kept with their ETags, and the largest of them in bytes
NO_REMOVING = "switch deleting on there, for a CNCF Distribution 'storage.delete.enabled', or take 'keep' off the build"
REFUSED = "it refuses the login"  # which, repeated, would lock the account
_CODE = re.compile(rb'"code" ?: ?"([A-Z_]{1,40})"')
_SOONER = 10.0  # seconds before its end that a token is not used any more


@dataclass(frozen=True, slots=True)
class Question:
    """*path* of the registry at *base*, about *image*."""

    method: str
    image: ImageName
    base: str
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def url(self) -> str:
        return self.base + self.path

    @property
    def action(self) -> str:
        """What a token has to allow (CNCF Distribution, docs: spec/auth/scope): who pushes may pull as well."""
        return {"DELETE": "delete", "PUT": "pull,push"}.get(self.method, "pull")

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD")


class Asking:
    """See ``registry.OciRegistry``."""

    def __init__(
        self, auth: RegistryAuth, address: Callable[[str], str], clock: Callable[[], float], timeout: float
    ) -> None:
        self._auth = auth
        self._address = address
        self._clock = clock
        self._timeout = timeout
        self._pauses = Pauses(clock)
        self._lock = threading.Lock()
        self._logins: dict[tuple[str, str], tuple[float, str]] = {}  # repository, action: its end, the header's value
        self._answers: dict[tuple[str, str], Answer] = {}

    def ask(self, method: str, image: ImageName, path: str, body: bytes = b"", **headers: str) -> Answer:
        """The registry's good answer. Raises NotFound, UserError, RetryLater."""
        self._pauses.check(image.registry)
        base = self._base(image.registry)
        kept = self._answers.get((method, base + path))
        known = {"If-None-Match": kept.headers["ETag"]} if kept is not None else {}
        question = Question(method, image, base, path, {**headers, **known}, body)
        with _session(base) as session:
            answer = self._with_login(session, question)
        if answer.status == 304 and kept is not None:
            return kept
        if method == "DELETE":
            raise_unless_removable(image, answer)
        if method == "PUT":
            raise_unless_taken(image, answer)
        raise_unless_good(image, answer)
        self._keep(question, answer)
        return answer

    def ping(self, registry: str) -> Answer:
        """What it says to ``GET /v2/``, as every registry does (OCI distribution specification, end-1).

        A login that there is has to be taken; without one, to be asked for it is an answer too. Raises as ``ask`` does.
        """
        self._pauses.check(registry)
        login, question = self._auth(registry), Question("GET", ImageName(registry, ""), self._base(registry), "/v2/")
        with _session(question.base) as session:
            if login:
                answer = self._with_login(session, question)
            else:
                answer = self._fetch(session, f"the registry {registry}", question, "")
        if answer.status == 401 and login:
            raise refused(question.image)
        if answer.status not in (200, 401, 403):
            raise UserError(f"{registry} answers, but not like a registry (HTTP {answer.status})")
        return answer

    def _base(self, registry: str) -> str:
        return self._address(registry) or url_of(registry)

    def _with_login(self, session: RegistrySession, question: Question) -> Answer:
        """As somebody who is known already, or as nobody: then the registry says whether, and how, it wants a login."""
        registry, whom = question.image.registry, f"the registry {question.image.registry}"
        until, known = self._logins.get((question.image.repository, question.action), (0.0, ""))
        answer = self._fetch(session, whom, question, known if self._clock() < until else "")
        if answer.status != 401 or origin(answer.url) != origin(question.base):
            return answer
        login = self._login(session, question, answer.headers.get("WWW-Authenticate", ""))
        answer = self._fetch(session, whom, question, login)
        if answer.status == 401 and login.startswith("Basic"):
            self._logins.pop((question.image.repository, question.action), None)
            self._pauses.failed(registry, REFUSED)
        return answer

    def _login(self, session: RegistrySession, question: Question, header: str) -> str:
        """What the challenge in *header* asks for, kept for a while."""
        challenge, login = Challenge.parse(header), self._auth(question.image.registry)
        if challenge is None or (challenge.scheme == "basic" and not login):
            raise refused(question.image)
        value, seconds = challenges.basic(login) if login else "", challenges.SHORTEST
        if challenge.scheme == "bearer":
            token, seconds = self._token(session, question, challenge, value)
            value = f"Bearer {token}"
        with self._lock:
            self._logins[question.image.repository, question.action] = (self._clock() + seconds - _SOONER, value)
        return value

    def _token(
        self, session: RegistrySession, question: Question, challenge: Challenge, login: str
    ) -> tuple[str, float]:
        """The token server is whom the registry names, but never by plain http where the registry is not."""
        image = question.image
        if not challenge.realm.startswith(("https://", f"{urlsplit(question.base).scheme}://")):
            raise UserError(f"the registry {image.registry} names a token server without https")
        asked = Question("GET", image, challenge.url(image.path, question.action))
        answer = self._fetch(session, f"the token server of {image.registry}", asked, login)
        if answer.status == 401 and login:
            self._pauses.failed(image.registry, REFUSED)
        raise_unless_good(image, answer)
        try:
            return challenges.token(answer.body)
        except ValueError:
            raise UserError(f"the token server of {image.registry} gives no token") from None

    def _fetch(self, session: RegistrySession, whom: str, question: Question, login: str) -> Answer:
        """Ask, and take note of how it went, for the next time."""
        headers = {**question.headers, "Authorization": login} if login else question.headers
        try:
            answer = session.fetch(whom, question.method, question.url, headers, self._timeout, question.body)
        except NodewiseError as error:
            self._pauses.failed(question.image.registry, error.what)
            raise
        self._pauses.answered(question.image.registry, answer.status, answer.headers)
        return answer

    def _keep(self, question: Question, answer: Answer) -> None:
        if not question.reads or not answer.headers.get("ETag") or len(answer.body) > KEPT_SIZE:
            return
        with self._lock:
            if len(self._answers) >= KEPT:
                self._answers.clear()
            self._answers[question.method, question.url] = answer


def _session(base: str) -> RegistrySession:
    return RegistrySession(proxied=base.startswith("https://"))


def refused(image: ImageName) -> UserError:
    what = f"access to {image.path}" if image.path else "its login"
    return UserError(f"the registry {image.registry} refuses {what}", CREDENTIALS_HINT, "image")


def raise_unless_good(image: ImageName, answer: Answer) -> None:
    """What a status means. Raises NotFound, UserError, RetryLater."""
    if answer.status in (200, 201, 202):
        return
    if answer.status == 404:
        raise NotFound(f"the registry {image.registry} has no image {image}", "push it first, or mend the tag", "image")
    if answer.status in (401, 403):
        raise refused(image)
    if answer.status == 429 or answer.status >= 500:
        raise RetryLater(f"the registry {image.registry} answered {answer.status}", delay=5.0)
    raise UserError(f"the registry {image.registry} answered {answer.status}: is it one?", "", "image")


def raise_unless_removable(image: ImageName, answer: Answer) -> None:
    """Registries that let nobody remove anything answer 405, or 400 (distribution-spec v1.1, "Deleting Manifests")."""
    if answer.status == 405 or (answer.status == 400 and b"UNSUPPORTED" in answer.body):
        raise UserError(f"the registry {image.registry} does not let images be removed", NO_REMOVING, "keep")


def raise_unless_taken(image: ImageName, answer: Answer) -> None:
    """What is pushed and refused for itself: 400, 404 or 413, with codes (distribution-spec v1.1, "Error Codes")."""
    if answer.status in (400, 404, 405, 413, 415, 422):
        codes = ", ".join(sorted({code.decode() for code in _CODE.findall(answer.body)})) or f"HTTP {answer.status}"
        raise UserError(f"the registry {image.registry} does not take an index as {image}: {codes}", "", "image")
