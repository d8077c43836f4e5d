"""/metrics for Prometheus, read from the store at every scrape: the same figures from whichever process is asked.

Needs the scope ``read``: names of services and providers are nobody else's business.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from nodewise import __version__
from nodewise.bootstrap import Deps
from nodewise.domain.rollout import Phase
from nodewise.web import auth
from tasks.sweep import HEARTBEAT


def add_metrics(app: Flask, deps: Deps) -> None:
    """Add /metrics."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(deps))

    @app.route("/metrics")
    @auth.needs("read")
    def metrics() -> Response:
        refused = auth.check(deps)
        return refused or Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class StoreCollector(Collector):
    """The store's figures as metrics."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def describe(self) -> list[Metric]:
        """Nothing beforehand: being registered must not ask the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._deliveries()
        yield self._rollouts()
        yield from self._jobs()

    def _deliveries(self) -> Iterator[Metric]:
        store = self._deps.store
        accepted = CounterMetricFamily(
            "nodewise_deliveries", "Verified webhook requests", labels=["provider", "verdict"]
        )
        for provider, verdict, count in sorted(store.delivery_counts()):
            accepted.add_metric([provider, verdict], count)
        yield accepted
        rejected = CounterMetricFamily(
            "nodewise_deliveries_rejected", "Webhook requests turned away", labels=["provider", "hook", "reason"]
        )
        for row in store.rejected():
            rejected.add_metric([row.provider, row.hook, row.reason], row.count)
        yield rejected

    def _rollouts(self) -> Metric:
        """Each phase is there from the first scrape on, so that an alert on one has something to look at."""
        counts = self._deps.store.rollout_counts()
        family = GaugeMetricFamily("nodewise_rollouts", "Rollouts on record, by phase", labels=["phase"])
        for phase in Phase:
            family.add_metric([phase.value], counts.get(phase, 0))
        return family

    def _jobs(self) -> Iterator[Metric]:
        store, now = self._deps.store, self._deps.clock.now()
        yield GaugeMetricFamily("nodewise_outbox_jobs", "Jobs to do", value=store.outbox_size())
        yield GaugeMetricFamily(
            "nodewise_outbox_oldest_due_seconds",
            "How long the oldest due job has waited",
            store.oldest_due(now),
        )
        last = store.last_beat(HEARTBEAT)
        if last is not None:
            yield GaugeMetricFamily("nodewise_worker_heartbeat_age_seconds", "Since a worker was heard of", now - last)
        info = GaugeMetricFamily("nodewise_info", "The running version", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
