"""The shapes of what may be asked: paths, queries and bodies."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from nodewise.domain.delivery import Verdict
from nodewise.domain.fates import DeliveryState


class _Asked(BaseModel):
    """A word that means nothing is refused: a misspelt one must not be taken for its absence."""

    model_config = ConfigDict(extra="forbid")


class ServiceName(_Asked):
    name: str = Field(description="the service's name")


class Id(_Asked):
    id: str


class Page(_Asked):
    limit: int = Field(50, ge=1, le=500)


class DeliveriesPage(Page):
    before: str | None = Field(None, description="only those older than this delivery")
    provider: str | None = Field(None, description="only this provider's")
    hook: str | None = Field(None, description="only this hook's")
    verdict: Verdict | None = Field(None, description="only those worth this")
    state: DeliveryState | None = Field(None, description="only those that stand like this as a whole")


class RolloutsPage(Page):
    service: str | None = Field(None, description="only this service's")
    active: bool = Field(False, description="only those that have not ended")


class LogPage(_Asked):
    after: int = Field(0, ge=0, le=2**53, description="the Nodewise-Log-Next of the answer before")


class LastEvent(BaseModel):
    """Where a stream broke off. Other headers are none of its business."""

    last_event_id: str = Field(
        "",
        alias="Last-Event-ID",
        pattern=r"^([0-9]{1,18}|end)?$",
        description="the id of the last event that was heard, as a browser's EventSource sends it by itself",
    )


class Deploy(_Asked):
    """What to move the service to."""

    image: str = Field("", max_length=512, description="empty: what the service's own tag is in the registry now")


class Rollback(_Asked):
    """Where to take the service back to."""

    to: int | None = Field(
        None, strict=True, ge=1, description="a release number; null: the good one before the present one"
    )


class Approve(_Asked):
    """What is said yes to."""

    digest: str = Field("", max_length=140, description="only if the rollout brings that; empty: whatever it brings")


class Lock(_Asked):
    """Why the service is not to be rolled out to."""

    reason: str = Field("", max_length=500)
