"""Telling: what people are told of a rollout or a build, in their words. Pure; who is told, and how, is not known here.

Phases that mean the same to a person are one state, so that a rollout is told in a few messages, however many steps
it has. What is compared with what was told before is the *occasion*: a state, and for a question, which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodewise.domain.build import Build, BuildState
from nodewise.domain.model import Kind, Phase, Rollout
from nodewise.domain.staging import open_question
from nodewise.domain.swarm import image_of
from nodewise.domain.told import Commit, State, Told
from nodewise.domain.urls import without_login

_OF_PHASE: Mapping[Phase, State] = {
    Phase.PENDING: State.PENDING,
    Phase.QUEUED: State.PENDING,
    Phase.WAITING: State.PENDING,
    Phase.PREPARING: State.STARTED,
    Phase.STAGING: State.STARTED,
    Phase.MOVING: State.STARTED,
    Phase.FINISHING: State.STARTED,
    Phase.WATCHING: State.STARTED,
    Phase.ROLLING_BACK: State.TAKING_BACK,
    Phase.SWARM_ROLLING_BACK: State.TAKING_BACK,
    Phase.CLEARING: State.TAKING_BACK,
    Phase.SUCCEEDED: State.SUCCEEDED,
    Phase.ROLLED_BACK: State.ROLLED_BACK,
    Phase.ROLLED_BACK_BY_SWARM: State.ROLLED_BACK,
    Phase.CHANGED: State.CHANGED,
    Phase.SUPERSEDED: State.SUPERSEDED,
    Phase.ABORTED: State.ABORTED,
    Phase.FROZEN: State.FAILED,
    Phase.FAILED: State.FAILED,
}
_OF_BUILD: Mapping[BuildState, State] = {
    BuildState.WAITING: State.BUILDING,
    BuildState.BUILDING: State.BUILDING,
    BuildState.BUILT: State.BUILDING,
    BuildState.PUSHED: State.PUSHED,
    BuildState.FAILED: State.BUILD_FAILED,
    BuildState.SKIPPED: State.SKIPPED,
    BuildState.REPLACED: State.SUPERSEDED,
}


def state_of(rollout: Rollout) -> State:
    """What a rollout's phase means to a person. What it does until its own services are gone is no ending."""
    if rollout.phase is Phase.CLEARING and rollout.ends_as is Phase.SUCCEEDED:
        return State.STARTED
    if not rollout.phase.terminal and open_question(rollout):
        return State.WAITING
    if not rollout.phase.terminal and rollout.held:
        return State.HELD
    return _OF_PHASE[rollout.phase]


def occasion(rollout: Rollout) -> str:
    """What is told once: the state, and which question is open."""
    state = state_of(rollout)
    return f"{state}: {open_question(rollout)}" if state is State.WAITING else state.value


def brings(rollout: Rollout) -> tuple[str, str]:
    """The image that a rollout brings, and its digest; each is empty where it is not known (yet)."""
    image = image_of(rollout.plan.target) if rollout.plan else rollout.image
    name, _, digest = image.partition("@")
    return name, digest


def of_rollout(rollout: Rollout, commit: Commit | None = None) -> Told:
    """What there is to tell of a rollout now."""
    state, image = state_of(rollout), brings(rollout)[0]
    reason = _one_line(_reason(rollout, state))
    what = "rollback" if rollout.kind is Kind.ROLLBACK else "rollout"
    text = f"The {what} {rollout.id} of {rollout.service}{_where_to(rollout, image)}, asked for by {rollout.origin}"
    return Told(
        subject=rollout.id,
        service=rollout.service,
        state=state,
        occasion=occasion(rollout),
        image=image,
        reason=reason,
        who=rollout.origin,
        title=f"{rollout.service}: {what} {state.words}",
        text=_one_line(f"{text}: {state.words}{_because(reason)}."),
        commit=commit,
    )


def of_build(build: Build) -> Told:
    """What there is to tell of a build now."""
    state = _OF_BUILD[build.state]
    reason = _one_line(build.error)
    text = f"{build.image} from {build.commit[:12]} of {build.ref} ({build.id})"
    return Told(
        subject=build.id,
        service=build.name,
        state=state,
        occasion=state.value,
        image=build.image,
        reason=reason,
        who=build.ref,
        title=f"{build.name}: {state.words}",
        text=_one_line(f"{text}: {state.words}{_because(reason)}."),
        commit=Commit(build.repository, build.commit),
    )


def _reason(rollout: Rollout, state: State) -> str:
    if state is State.WAITING:
        return f"'nodewise approve {rollout.id}' says yes to {open_question(rollout)}"
    return rollout.held if state is State.HELD else rollout.reason


def _where_to(rollout: Rollout, image: str) -> str:
    """Which image and which releases, as far as they are known."""
    numbers = f"release {rollout.from_number} to {rollout.to_number}" if rollout.to_number is not None else ""
    if not numbers and rollout.requested is not None:
        numbers = f"to release {rollout.requested}"
    both = f" to {image}" if image else ""
    return f"{both} ({numbers})" if numbers else both


def _because(reason: str) -> str:
    return f"; {reason.rstrip('.')}" if reason else ""


def _one_line(text: str) -> str:
    return " ".join(without_login(text).split())
