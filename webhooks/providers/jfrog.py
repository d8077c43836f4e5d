"""JFrog Artifactory: images that were pushed.

Source: https://jfrog.com/help/r/jfrog-platform-administration-documentation/webhooks (Docker events, payload signing).

- ``X-JFrog-Event-Auth`` holds the secret itself or, with "Use secret for payload signing", the bare hex HMAC-SHA256
  over the body. The two cannot be told apart from outside, so the hook's ``signs`` says which; the other is refused.
- ``data.sha256`` is the manifest's digest without its algorithm. A multi-arch image is one event, for
  ``list.manifest.json``, with ``platforms[]``; what is pushed by digest has it as its tag.
- The cache of a remote repository (``…-cache``) raises ``pushed`` as well, when somebody pulls through it: ignored.
- The registry's name is that of ``jpd_origin``, with ``repo_key`` as the first part of the path. Where images are named
  otherwise (a host or a port of its own, a virtual repository), the hook's ``registry`` is all that stands before
  ``data.image_name``; ``{repository}`` in it is ``repo_key``.
- There is neither an id nor a time: the key is the body's digest. Another image under the same tag makes another body.
  One that the tag was on before (1, 2, then 1 again) does not, and is taken for a repetition: deploy it by hand.
"""

from __future__ import annotations

from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import ImagePushed
from webhooks.bodies import digest, parsed, read_json, text
from webhooks.proofs import hmac_hex, plain
from webhooks.provider import About, Incoming, Kind, Parsed, Trust
from webhooks.providers._registries import UNTAGGED, printable, pushed

ABOUT = About(
    title="JFrog Artifactory",
    kind=Kind.REGISTRY,
    events="Docker: tag was pushed",
    signature="X-JFrog-Event-Auth: the secret itself, or, with signs: hmac, HMAC-SHA256 over the raw body",
    replay="a digest of the body",
    setup=(
        "Administration → General → Webhooks → New Webhook",
        "Name: nodewise",
        "URL: {url}",
        "Events: Docker, Tag was pushed; choose the local repositories",
        "Secret token: {secret}",
        "Use secret for payload signing: yes, and in nodewise.yaml signs: hmac (without it: signs: secret)",
        "Where images are named otherwise than HOST/REPOSITORY/IMAGE, in nodewise.yaml what stands before IMAGE:",
        "registry: docker.example.org",
    ),
    tested="a published example, and bodies as its documentation shows them; not Artifactory itself",
)
HEADER = "x-jfrog-event-auth"
FIELDS = ("data.image_name", "data.tag", "data.sha256")
BY_DIGEST = ("sha256:", "sha256__")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The secret or a signature by it, whichever the hook says. There is no time in either."""
    if trust.hook.signs == "hmac":
        hmac_hex(incoming, trust, HEADER)
    else:
        plain(incoming, trust, HEADER)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed. Raises Unreadable."""
    return parsed([_pushed(read_json(incoming.body), hook.registry)], digest(incoming.body))


def _pushed(data: dict[str, Any], registry: str) -> ImagePushed | str:
    domain, event = text(data, "domain"), text(data, "event_type")
    if (domain, event) != ("docker", "pushed"):
        return f"{printable(domain)} {printable(event)} is no push of an image"
    repository = text(data, "data.repo_key").lower()
    if repository.endswith("-cache"):
        return f"{printable(repository)} is the cache of a remote repository, filled by a pull"
    tag = text(data, "data.tag", "")
    if not tag or tag.startswith(BY_DIGEST):
        return UNTAGGED
    before = (registry or f"{_host(data)}/{{repository}}").replace("{repository}", repository)
    found = text(data, "data.sha256", "")
    name = text(data, "data.image_name").lower()
    return pushed(f"{before}/{name}", tag, f"sha256:{found}" if found else "", FIELDS)


def _host(data: dict[str, Any]) -> str:
    """The host of its address, with a port where there is one."""
    return text(data, "jpd_origin").rpartition("://")[2].partition("/")[0].lower()
