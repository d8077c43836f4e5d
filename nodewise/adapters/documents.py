"""Documents that providers publish and signatures are checked with: certificates, public keys. Kept for an hour.

Which addresses are asked for is the providers' decision; only https, no redirects, and not for long: the sender waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import requests
import structlog

from nodewise.domain.errors import RetryLater

TIMEOUT = 3.0  # seconds
KEPT = 3600.0  # seconds
LARGEST = 256 * 1024  # bytes
MOST = 64  # addresses

log = structlog.get_logger(__name__)


class Documents:
    """A small cache of public documents, by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, verify: bool | str = True) -> None:
        """*clock*: seconds, for how long something is kept. *verify*: as with requests, whom to trust."""
        self._clock = clock
        self._verify = verify
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._lock = threading.Lock()
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="callback")  # its thread begins with the first one

    def read(self, urls: Iterable[str]) -> Mapping[str, bytes]:
        """Each document, by its address. Raises RetryLater where one cannot be had now."""
        return {url: self._one(url) for url in urls}

    def visit(self, url: str) -> None:
        """Ask for *url* now, whatever is kept. Raises RetryLater."""
        self._get(url)

    def tell(self, url: str, content: Mapping[str, str]) -> None:
        """Post *content*, aside and once. That it fails is noted, and is nobody's matter."""
        self._aside.submit(self._post, url, dict(content))

    def _post(self, url: str, content: Mapping[str, str]) -> None:
        host = url.partition("://")[2].partition("/")[0]
        try:
            with requests.post(
                url, json=content, timeout=TIMEOUT, allow_redirects=False, verify=self._verify
            ) as answer:
                log.info("callback_told", host=host, status=answer.status_code)
        except requests.RequestException as error:
            log.info("callback_not_told", host=host, reason=type(error).__name__)

    def _one(self, url: str) -> bytes:
        with self._lock:
            until, body = self._kept.get(url, (0.0, b""))
        if body and self._clock() < until:
            return body
        body = self._get(url)
        with self._lock:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[url] = (self._clock() + KEPT, body)
        return body

    def _get(self, url: str) -> bytes:
        host = url.partition("://")[2].partition("/")[0]
        if not url.startswith("https://"):
            raise RetryLater(f"{host or 'an address'} is not asked without https")
        try:
            with requests.get(url, timeout=TIMEOUT, allow_redirects=False, stream=True, verify=self._verify) as answer:
                body = next(answer.iter_content(LARGEST + 1), b"")
                status = answer.status_code
        except requests.RequestException as error:
            raise RetryLater(f"{host} does not answer ({type(error).__name__})") from None
        if status != 200 or not body or len(body) > LARGEST:
            raise RetryLater(f"{host} answered {status} with {len(body)} bytes")
        return body
