"""zot: events as CloudEvents in binary mode, one in a request.

Source: project-zot/zot, pkg/extensions/events/; CloudEvents, HTTP protocol binding,
section 3.1 (https://github.com/cloudevents/spec).

- It proves itself with basic credentials, a token or a header of its configuration. Nothing covers the body.
- What an event is stands in ``Ce-Type``. Its beginning can be configured, so patterns choose (the hook's ``types``).
  A deletion, a refusal by the linter and a new repository never are pushes, whatever the patterns say.
- ``Ce-Id`` is the key: another push of the same tag has another.
- ``reference`` is a tag or, for a push by digest (a child of an index), a digest. ``manifest`` is a text with JSON in
  it, and not needed.
- It never says what the registry is called: the hook's ``registry`` does.
- A failed call is only logged.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from nodewise.config.hooks import HookConfig
from nodewise.domain.events import ImagePushed
from webhooks.bodies import parsed, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable
from webhooks.providers._registries import UNTAGGED, is_tag, key_of, printable, pushed

ABOUT = About(
    title="zot",
    kind=Kind.REGISTRY,
    events="image.updated, with a tag",
    signature="the secret in the header Authorization, basic, bearer or as it is",
    replay="the event's id",
    setup=(
        "In zot's configuration file:",
        '"extensions": {"events": {"enable": true, "sinks": [{',
        '  "type": "http", "address": "{url}", "timeout": "10s",',
        '  "credentials": {"username": "zot", "password": "{secret}"}',
        "}]}}",
        "In nodewise.yaml, what zot is called in the names of images:",
        "registry: registry.example:5000",
    ),
    tested="bodies as its source writes them; not zot itself",
)
FIELDS = ("name", "reference", "digest")
TYPES = ("*.image.updated",)
NEVER = (".image.deleted", ".image.lint_failed", ".repository.created")


def verify(incoming: Incoming, trust: Trust) -> None:
    """The header equal to the secret, as a bearer token, as a basic password or as it is."""
    credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The tag that was pushed. Raises Unreadable."""
    kind = incoming.header("ce-type")
    key = key_of(incoming.header("ce-id"), incoming.body)
    if not kind:
        raise Unreadable("the header ce-type is missing", "ce-type")
    if kind.endswith(NEVER) or not any(fnmatchcase(kind, pattern) for pattern in hook.types or TYPES):
        return parsed([f"{printable(kind)} is no push"], key)
    return parsed([_pushed(incoming.body, hook.registry)], key)


def _pushed(body: bytes, registry: str) -> ImagePushed | str:
    data = read_json(body)
    name, tag = text(data, "name"), text(data, "reference", "")
    if not is_tag(tag):
        return UNTAGGED
    return pushed(f"{registry}/{name}", tag, text(data, "digest", ""), FIELDS)
