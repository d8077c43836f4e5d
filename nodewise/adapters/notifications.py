"""People, told through Apprise (https://appriseit.com): its URL names the service and how to get in there.

Such a URL holds secrets. It is in no error and in no log; Apprise itself logs nothing. Apprise is imported when
something is told for the first time: it takes memory that the web process can do without.
"""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from nodewise.config.telling import FIELD, NotificationConfig
from nodewise.domain.errors import GiveUp, RetryLater
from nodewise.domain.told import Told, Tone
from nodewise.domain.urls import told_at

if TYPE_CHECKING:
    from apprise import Apprise

TIMEOUT = 30.0  # seconds, for the whole of it
TYPES = {Tone.GOOD: "success", Tone.BAD: "failure", Tone.STANDS: "warning"}


class NotificationChannel:
    """``ports.Channel`` for one entry of ``notifications``."""

    def __init__(self, name: str, config: NotificationConfig, public_url: str) -> None:
        self._name = name
        self._config = config
        self._public_url = public_url

    @property
    def name(self) -> str:
        """``notifications.0``."""
        return self._name

    def wants(self, told: Told) -> bool:
        """Whether its state and its service are asked for."""
        config = self._config
        return told.state in config.on and any(fnmatchcase(told.service, pattern) for pattern in config.services)

    def tell(self, told: Told, kept: str) -> str:
        """Send it. Apprise does not say why it failed, so it is tried again whatever it was; nothing is kept."""
        link = told_at(self._public_url, told.subject)
        title = filled(self._config.title, told, link) or told.title
        body = filled(self._config.body, told, link) or f"{told.text}\n{link}".strip()
        sender = _apprise()
        if not sender.add(self._config.address()):
            raise GiveUp(f"{self._name}: its URL is none that Apprise knows", "see https://appriseit.com/services")
        kind = TYPES.get(told.state.tone, "info")
        if not sender.notify(body=body, title=title, notify_type=kind, body_format="text", timeout=TIMEOUT):
            raise RetryLater(f"{self._name}: it was not taken")
        return ""


def filled(template: str, told: Told, link: str) -> str:
    """*template* with every field in it replaced, all in one pass: what a value says is not read again."""
    values = {
        "service": told.service,
        "image": told.image,
        "state": told.state.words,
        "reason": told.reason,
        "rollout": told.subject,
        "who": told.who,
        "link": link,
    }
    return FIELD.sub(lambda found: values[found[1]], template)


def _apprise() -> Apprise:
    """Fresh for each message: it keeps what it has sent in mind, to slow itself down."""
    logging.getLogger("apprise").disabled = True  # a URL that it cannot read it would log as it stands
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(app_id="Nodewise", storage_mode="memory", async_mode=False, http_redirects=False)
    return Apprise(asset=asset)
