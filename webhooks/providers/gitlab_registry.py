"""GitLab's container registry: notifications as its configuration sends them.

Source: https://docs.gitlab.com/administration/packages/container_registry/ (notifications), and GitLab's fork of
Distribution, https://gitlab.com/gitlab-org/container-registry (notifications/, docs/configuration.md).

It was Distribution once and speaks as that does, with its traps (a 4xx is repeated for ever, the children of an index
and blobs are told of as well): see ``distribution``. What differs:

- ``threshold`` gives way to ``maxretries``, after which an event is dropped: what is not taken may never come again.
- ``rename`` is an action of its own, and a delete may name a tag. Neither is a push.
- GitLab itself may be one of the endpoints: another is added, and that one stays.
"""

from __future__ import annotations

from webhooks.provider import About, Kind
from webhooks.providers.distribution import parse, verify

__all__ = ["ABOUT", "parse", "verify"]

ABOUT = About(
    title="GitLab container registry",
    kind=Kind.REGISTRY,
    events="push of a tagged manifest or index",
    signature="the secret in a header that its configuration sets: Authorization, bearer or basic",
    replay="the events' ids",
    setup=(
        "In /etc/gitlab/gitlab.rb, beside the endpoints that are there, and then gitlab-ctl reconfigure:",
        "registry['notifications'] = [",
        "  {",
        "    'name' => 'nodewise',",
        "    'url' => '{url}',",
        "    'timeout' => '5s',",
        "    'maxretries' => 10,",
        "    'backoff' => '1s',",
        "    'headers' => { 'Authorization' => ['Bearer {secret}'] }",
        "  }",
        "]",
    ),
    tested="bodies of the registry that it comes from; not GitLab itself",
)
