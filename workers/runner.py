"""The Celery app, and the only file that imports Celery.

Celery carries ids; the outbox is the truth. So a message may be lost (the sweep finds the job), doubled
(no lease is to be had) or late (the lease says that it is not due), and nothing has to be recovered here.
"""

from __future__ import annotations

import warnings
from typing import Any

import structlog
from celery import Celery
from celery.beat import Scheduler, Service
from celery.exceptions import OperationalError, SecurityWarning
from celery.signals import worker_process_init
from kombu.entity import Exchange
from kombu.entity import Queue as KombuQueue
from redis.exceptions import RedisError

from nodewise.bootstrap import Deps, build_deps
from nodewise.config.settings import Settings
from nodewise.domain.errors import RetryLater
from nodewise.domain.jobs import QUEUES, Job, Verb
from tasks.perform import run

TASK = "nodewise.job"
SWEEP_EVERY = 1.0  # seconds
ALL_QUEUES = tuple(dict.fromkeys(QUEUES.values()))

log = structlog.get_logger(__name__)


def make_app(settings: Settings) -> Celery:
    """The Celery app for these settings. Connects to nothing yet."""
    app = Celery("nodewise", broker=settings.broker_url, set_as_current=False)
    # The default exchange sends straight to the queue of the routing key: no bindings are kept in Redis
    # (kombu/transport/virtual/exchange.py), so a Redis that was wiped takes messages again at once.
    direct = Exchange("", type="direct")
    app.conf.update(
        task_queues=[KombuQueue(name, direct, routing_key=name) for name in ALL_QUEUES],
        task_default_queue=QUEUES[Verb.PLAN],
        task_default_exchange="",
        task_default_routing_key=QUEUES[Verb.PLAN],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=10.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 3600,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 2.0,
            "retry_on_timeout": True,
            "health_check_interval": 10,
        },
        task_publish_retry=False,
        beat_schedule={
            "sweep": {
                "task": TASK,
                "schedule": SWEEP_EVERY,
                "args": (Verb.SWEEP.value, ""),
                "options": {"queue": QUEUES[Verb.SWEEP], "expires": 5 * SWEEP_EVERY, "ignore_result": True},
            }
        },
        timezone="UTC",
    )
    return app


class CeleryQueue:
    """``nodewise.ports.Queue`` on Celery."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, job: Job, delay: float = 0.0) -> None:
        """Send the message, in *delay* seconds. Raises RetryLater when Redis does not take it at once."""
        try:
            self._app.send_task(
                TASK,
                args=(job.verb.value, job.subject),
                queue=job.queue,
                countdown=delay or None,
                retry=False,
                ignore_result=True,
            )
        except (OperationalError, RedisError, OSError) as error:
            raise RetryLater(f"the queue does not take {job.verb} {job.subject}: {error}") from error


def make_worker_app(settings: Settings) -> tuple[Celery, Deps]:
    """The app with its one task, and the Deps that the task runs with."""
    app = make_app(settings)
    deps = build_deps(settings, CeleryQueue(app))

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def job(verb: str, subject: str) -> None:
        run(deps, Job(Verb(verb), subject))

    def after_fork(**_: Any) -> None:
        deps.store.dispose()

    worker_process_init.connect(after_fork, weak=False)
    return app, deps


def work(settings: Settings, queues: tuple[str, ...] = ALL_QUEUES) -> None:
    """Run a worker until it is told to stop.

    Threads, not processes: jobs wait for the swarm's answers and not for the processor, and one process
    holds one copy of everything.
    """
    # Celery's advice is about pickled messages. Ours are JSON, and an engine's socket asks for such rights.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app, _ = make_worker_app(settings)
    worker = app.Worker(
        pool="threads",
        concurrency=settings.worker_threads,
        queues=queues,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    if worker.exitcode:
        raise SystemExit(worker.exitcode)


def make_beat(settings: Settings) -> Service:
    """Celery's beat for the schedule above, in memory: a missed sweep is made up for by the next."""
    return Service(make_app(settings), max_interval=1, scheduler_cls=Scheduler)
