"""Every channel that the configuration names. Nothing is asked, read or sent before something is told."""

from __future__ import annotations

from nodewise.adapters.notifications import NotificationChannel
from nodewise.adapters.statuses import StatusChannel
from nodewise.config.settings import Settings
from nodewise.ports import Channel


def channels(settings: Settings) -> tuple[Channel, ...]:
    """Those of people in their order, then those of git servers."""
    public_url = settings.public_url.rstrip("/")
    people = enumerate(settings.file.notifications)
    places = settings.file.statuses.items()
    return (
        *(NotificationChannel(f"notifications.{n}", config, public_url) for n, config in people),
        *(StatusChannel(f"statuses.{name}", config, public_url) for name, config in places),
    )
