"""Approvals: what a person has to say yes to, and whether it was said. Bound to the digest. Pure."""

from __future__ import annotations

from nodewise.domain.model import Approval, Approved, Plan, Rollout
from nodewise.domain.release import digest_of

WRITE = "write"  # the new release takes over


def after_stage(stage: int) -> str:
    """The name of the approval that follows a stage (counted from 0)."""
    return f"stage {stage + 1}"


def wanted(plan: Plan, what: str) -> bool:
    return plan.approval is Approval.EACH or (plan.approval is Approval.ONCE and what == WRITE)


def given(rollout: Rollout, what: str) -> bool:
    """Whether *what* was approved for the very digest that is to be rolled out."""
    assert rollout.plan is not None
    digest = digest_of(rollout.plan.target)
    return any(a.what == what and a.digest == digest for a in rollout.approvals)


def missing(rollout: Rollout, what: str) -> bool:
    assert rollout.plan is not None
    return wanted(rollout.plan, what) and not given(rollout, what)


def approve(rollout: Rollout, what: str, who: str, now: float) -> Approved:
    """The yes to *what*."""
    assert rollout.plan is not None
    return Approved(what, who, now, digest_of(rollout.plan.target))
