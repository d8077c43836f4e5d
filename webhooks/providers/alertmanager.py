"""Alertmanager: alerts that can take a release back.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; alertmanager,
notify/webhook/webhook.go and template/template.go.

- One notification holds a group of alerts. A firing group may hold resolved ones, which are nothing to us.
- An alert is of a service where it has the label that the hook names (*service_label*); others are of no use.
- There is no id of a delivery, and a group is told again for as long as it fires. The key is made of the alerts that
  fire for a service (fingerprint and start), in no order: told again it is the same, with one more alert it is new.
- ``truncatedAlerts`` above zero means that some were left out (``max_alerts``): that is noted.
- A 4xx is not sent again, a 5xx is. So an alert that cannot be read does not keep the others from being used.
- ``version`` is not looked at: it may be missing from a payload of one's own.
"""

from __future__ import annotations

import json
from typing import Any

from nodewise.config.hooks import HookConfig
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import AlertFired
from webhooks.bodies import at, digest, first_line, objects, read_json, text
from webhooks.proofs import credentials
from webhooks.provider import About, Incoming, Kind, Parsed, Trust, Unreadable

ABOUT = About(
    title="Alertmanager",
    kind=Kind.ALERTS,
    events="every firing alert that has the label with a service's name",
    signature="the secret in the header Authorization, bearer or basic",
    replay="the alerts' fingerprints and starting times",
    setup=(
        "In Alertmanager's configuration file, with a route to this receiver:",
        "receivers:",
        "  - name: nodewise",
        "    webhook_configs:",
        "      - url: {url}",
        "        send_resolved: false",
        "        max_alerts: 0",
        "        http_config:",
        "          authorization:",
        "            type: Bearer",
        "            credentials: '{secret}'",
        "In Prometheus, among the labels of every alerting rule that is about a service:",
        "nodewise_service: NAME-OF-THE-SERVICE",
    ),
    tested="Alertmanager 0.25 and Prometheus 2.42 themselves, from firing to resolved",
)
LONGEST_SUMMARY = 200


def verify(incoming: Incoming, trust: Trust) -> None:
    """The header equal to the secret, as a bearer token or as a basic password. There is no time in it."""
    credentials(incoming, trust)


def parse(incoming: Incoming, hook: HookConfig) -> Parsed:
    """The alerts that fire. Raises Unreadable where one could not be read and none of the others is of use."""
    data = read_json(incoming.body)
    found = [_one(alert, hook, f"alerts[{n}]") for n, alert in enumerate(objects(data, "alerts"))]
    events = tuple(dict.fromkeys(f for f in found if isinstance(f, AlertFired)))
    unread = [f for f in found if isinstance(f, Unreadable)]
    if unread and not events:
        raise unread[0]
    notes = [f.what for f in unread] if events else [f for f in found if isinstance(f, str)] or ["there is no alert"]
    verdict = Verdict.ACCEPTED if events else Verdict.IGNORED
    key = _key(events) if events else digest(incoming.body)
    return Parsed(verdict, key, events, "; ".join(dict.fromkeys(notes + _left_out(data))))


def _one(alert: dict[str, Any], hook: HookConfig, where: str) -> AlertFired | str | Unreadable:
    """The event of an alert, or the reason why it is none."""
    try:
        with at(where):
            return _fired(alert, hook)
    except Unreadable as error:
        return error


def _fired(alert: dict[str, Any], hook: HookConfig) -> AlertFired | str:
    status = text(alert, "status")
    if status != "firing":
        return f"{status[:40]} alerts are not used"
    given = alert.get("labels")
    labels = given if isinstance(given, dict) else {}
    service = labels.get(hook.service_label)
    if not isinstance(service, str) or not service:
        return f"alerts without the label {hook.service_label} are of no service"
    fingerprint, starts_at = text(alert, "fingerprint"), text(alert, "startsAt")
    return AlertFired(service, fingerprint, starts_at, _summary(alert.get("annotations"), labels), hook.always)


def _summary(annotations: Any, labels: dict[str, Any]) -> str:
    """One line for people, at least the alert's name. Where even that is no text, the alert counts without it."""
    given = annotations if isinstance(annotations, dict) else {}
    said = (given.get("summary"), given.get("description"), labels.get("alertname"))
    lines = (first_line(s.strip()).strip() for s in said if isinstance(s, str))
    return next((line[:LONGEST_SUMMARY] for line in lines if line), "")


def _key(events: tuple[AlertFired, ...]) -> str:
    """Names these alerts, whatever their order."""
    return digest(json.dumps(sorted([e.fingerprint, e.starts_at] for e in events)).encode())


def _left_out(data: dict[str, Any]) -> list[str]:
    count = data.get("truncatedAlerts")
    return [f"{count} more alerts were left out by the sender"] if isinstance(count, int) and count > 0 else []
