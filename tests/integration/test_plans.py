"""What an event and a request start, on a swarm that stands still."""

from __future__ import annotations

import pytest

from nodewise.answers.setup import check_services
from nodewise.bootstrap import Deps
from nodewise.domain.errors import NotFound
from nodewise.domain.events import ImagePushed
from nodewise.domain.locks import Lock
from nodewise.domain.rollout import Phase
from nodewise.intake import deploy
from tasks.app import follow_app
from tasks.plan import plan
from tests.integration.standing_swarm import OnSwarm, StandingSwarm, helper, service
from tests.unit.swarm_values import NEW


def push(deps: Deps, tag: str = "2", digest: str = NEW) -> str:
    """What came of the push of ``web:<tag>``."""
    event_id, _ = deps.store.add_event(ImagePushed("reg:5000/web", tag, digest), "test", deps.clock.now())
    plan(deps, event_id)
    stored = deps.store.event(event_id)
    assert stored is not None
    return stored.outcome


def test_an_event_does_not_meet_the_services_that_a_rollout_made_for_itself(on_swarm: OnSwarm) -> None:
    candidate = helper("web-candidate-node1", "r-1", "candidate.n1")
    deps = on_swarm(service("web"), candidate, config="defaults: {track: 'glob:*'}")
    outcome = push(deps)
    assert "web: rollout" in outcome
    assert "candidate" not in outcome
    assert [r.service for r in deps.store.rollouts()] == ["web"]
    labels = next(c for c in check_services(deps) if c.name == "labels")
    assert (labels.ok, labels.detail) == (True, "1 of 1 service follow their image")


def test_a_person_who_insists_on_a_digest_that_was_taken_back_insists_for_the_whole_app(on_swarm: OnSwarm) -> None:
    app = {"strategy": "cells", "app": "shop"}
    deps = on_swarm(service("web", labels=app), service("worker", labels=app))
    for name in ("web", "worker"):
        deps.store.add_lock(Lock(name, NEW, "taken back in r-0", "nodewise", 1.0))
    asked = deploy(deps, "web", "reg:5000/web:2", "person")
    plan(deps, asked.id)
    members = deps.store.rollouts()
    follow_app(deps, members[0].app_rollout)
    for member in members:
        plan(deps, member.id)
    assert {r.service: (r.phase, r.reason) for r in deps.store.rollouts()} == {
        "web": (Phase.MOVING, ""),
        "worker": (Phase.MOVING, ""),
    }
    assert deps.store.locks() == []


@pytest.mark.parametrize("name", ["id-web", "web-candidate-node1", "wep"])
def test_only_a_users_service_can_be_deployed_to_and_by_its_name(on_swarm: OnSwarm, name: str) -> None:
    deps = on_swarm(service("web"), helper("web-candidate-node1", "r-1", "candidate.n1"))
    with pytest.raises(NotFound, match=name) as error:
        deploy(deps, name, "reg:5000/web:2", "person")
    assert "candidate" not in error.value.hint
    assert deps.store.rollouts() == []


def test_a_deploy_without_an_image_is_one_of_the_services_own_tag(on_swarm: OnSwarm) -> None:
    assert deploy(on_swarm(service("web")), "web", "", "person").image == "reg:5000/web:1"


def test_a_helper_service_whose_rollout_is_over_is_found_by_doctor(on_swarm: OnSwarm) -> None:
    deps = on_swarm(service("web"))
    rollout = deploy(deps, "web", "reg:5000/web:2", "person")
    plan(deps, rollout.id)
    engine = deps.engine
    assert isinstance(engine, StandingSwarm)
    engine.put(helper("web-prepull", rollout.id, "prepull"), helper("web-before", "r-gone", "before"))
    found = [c for c in check_services(deps) if c.name == "helpers"]
    assert [(c.ok, c.detail, c.hint) for c in found] == [
        (False, "left behind: web-before", "docker service rm web-before")
    ]
