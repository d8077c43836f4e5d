"""Records into the plain values of ``nodewise.domain.swarm``. A view is made once and kept until its record changes."""

from __future__ import annotations

import copy
import time
from functools import lru_cache

from nodewise.domain.swarm import ServiceView, TaskView
from nodewise.testing.orchestrator import up_to_date
from nodewise.testing.records import WORDS, Service, Task, TaskState

_LIVE = (TaskState.READY, TaskState.RUNNING, TaskState.COMPLETE)


def service_view(service: Service) -> ServiceView:
    """The specs are copies, shared by the views of one version: whoever changes one changes no service."""
    if service.view is None:
        status, previous = service.status, service.previous
        service.view = ServiceView(
            service.id,
            service.name,
            service.version,
            copy.deepcopy(service.revision.spec),
            status.state if status else "",
            status.message if status else "",
            copy.deepcopy(previous.spec) if previous else None,
        )
    return service.view


def live_views(service: Service) -> list[TaskView]:
    """Of the tasks that are to run."""
    if service.live_views is None:
        tasks = (t for here in service.places.values() for t in here)
        service.live_views = [_task_view(t, False) for t in tasks if t.desired in _LIVE]
    return service.live_views


def all_views(service: Service, node_changes: int) -> list[TaskView]:
    """Of every task on record. Whether one is up to date may depend on its node's labels as well."""
    if service.all_views is None or service.all_views[0] != node_changes:
        tasks = (t for here in service.places.values() for t in here)
        service.all_views = (node_changes, [_task_view(t, up_to_date(t, service.revision)) for t in tasks])
    return service.all_views[1]


def _task_view(task: Task, fresh: bool) -> TaskView:
    kept = task.fresh_view if fresh else task.view
    if kept is not None:
        return kept
    made = TaskView(
        task.id,
        task.service.id,
        task.node.id if task.node else "",
        task.slot,
        WORDS[task.state],
        WORDS[task.desired],
        task.revision.image,
        fresh,
        task.error,
        task.exit_code,
        timestamp(task.at),
        task.address,
    )
    if fresh:
        task.fresh_view = made
    else:
        task.view = made
    return made


def timestamp(seconds: float) -> str:
    """RFC 3339 with nine digits, so that two of them compare as text."""
    whole = int(seconds)
    return f"{_date(whole)}.{int((seconds - whole) * 1e9):09d}Z"


@lru_cache(maxsize=1024)
def _date(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
