"""Writes to services, checked and stored as swarmkit's control API does it (manager/controlapi/service.go).

Every update wipes UpdateStatus and makes the spec that was the PreviousSpec; a rollback swaps the two. What
follows from a write is the orchestrator's.
"""

from __future__ import annotations

from nodewise.domain.errors import Conflict, GiveUp, OutOfSequence
from nodewise.domain.swarm import Spec
from nodewise.testing.cluster import Cluster
from nodewise.testing.records import ROLLBACK_STARTED, Service, Status
from nodewise.testing.revision import Revision


class Control:
    """The part of the managers that takes writes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def create(self, spec: Spec, token: str) -> str:
        """A new service; its id."""
        name = spec.get("Name") or ""
        revision = Revision(spec, token)
        _validate(revision)
        self._cluster.ports.check(revision, "")
        if name in self._cluster.names:
            raise Conflict(f"there is a service {name} already", "remove it, or choose another name")
        return self._cluster.add_service(revision).id

    def update(self, service_id: str, version: int, spec: Spec, token: str | None) -> None:
        """Replace the spec. Without *token* the stored credentials stay."""
        revision = Revision(spec, "")
        service = self._service(service_id)
        revision.token = service.revision.token if token is None else token
        _validate(revision)
        if revision.spec.get("EndpointSpec") != service.revision.spec.get("EndpointSpec"):
            self._cluster.ports.check(revision, service.id)
        if revision.mode != service.revision.mode:
            raise _refused("service mode change is not allowed")
        if revision.spec.get("Name") != service.name:
            raise _refused("renaming services is not supported")
        _in_sequence(service, version)
        was, status_was = service.revision, service.status
        service.previous, service.revision, service.status = was, revision, None
        self._wrote(service, was, status_was)

    def roll_back(self, service_id: str, version: int) -> None:
        """``rollback=previous``: the two specs change places."""
        service = self._service(service_id)
        if service.previous is None:
            raise _refused(f"service {service.id} does not have a previous spec")
        _in_sequence(service, version)
        was, status_was = service.revision, service.status
        service.revision, service.previous = service.previous, was
        service.status = Status(ROLLBACK_STARTED, "manually requested rollback")
        self._wrote(service, was, status_was)

    def remove(self, service_id: str) -> None:
        """One that is gone already is no error."""
        service = self._cluster.services.get(service_id) or self._cluster.names.get(service_id)
        if service is not None:
            self._cluster.drop_service(service)

    def _service(self, service_id: str) -> Service:
        service = self._cluster.services.get(service_id) or self._cluster.names.get(service_id)
        if service is None:
            raise _refused(f"service {service_id} not found")
        return service

    def _wrote(self, service: Service, was: Revision, status_was: Status | None) -> None:
        if service.iteration is not None:
            service.iteration += 1
        self._cluster.wrote(service, was, status_was)


def _in_sequence(service: Service, version: int) -> None:
    if version != service.version:
        raise OutOfSequence(
            f"the service was changed meanwhile (version {version} is not {service.version}): update out of sequence",
            delay=0.1,
        )


def _validate(revision: Revision) -> None:
    if not revision.image:
        raise _refused("ContainerSpec: image reference must be provided")
    if revision.job and revision.spec.get("UpdateConfig") is not None:
        raise _refused("Jobs may not have an update config")
    if revision.replicas < 0:
        raise _refused("Number of replicas must be non-negative")
    for constraint in revision.constraints:
        if "==" not in constraint and "!=" not in constraint:
            raise _refused("constraint expected one operator from ==, !=")


def _refused(words: str) -> GiveUp:
    return GiveUp(f"the engine refuses the update: {words}")
