"""GitHub, and GitHub Enterprise Server: a deployment for each rollout, a commit status for each build.

Sources: https://docs.github.com/en/rest/deployments/deployments#create-a-deployment,
https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status,
https://docs.github.com/en/rest/commits/statuses#create-a-commit-status.

- A deployment is made once for a rollout; without required contexts and without a merge, so that GitHub adds no will of
  its own. Its environment is the service.
- A deployment that succeeds makes GitHub call the earlier ones of that environment inactive (``auto_inactive``).
- Descriptions have at most 140 characters.
- The token needs "Deployments" and "Commit statuses", read and write (``repo`` for a classic one).
"""

from __future__ import annotations

from nodewise.domain.told import Told, Tone
from nodewise.statuses import Call, Target, cut

LONGEST = 140
DEPLOYMENT = {
    Tone.ASKED: "queued",
    Tone.GOES: "in_progress",
    Tone.STANDS: "pending",
    Tone.GOOD: "success",
    Tone.BAD: "failure",
    Tone.OVER: "inactive",
}
COMMIT = {Tone.GOOD: "success", Tone.BAD: "failure", Tone.OVER: "error"}


def call(target: Target, told: Told, kept: str) -> Call:
    """*kept*: the deployment's id."""
    if told.of_build:
        state = {"state": COMMIT.get(told.state.tone, "pending"), "context": target.context}
        link = {"target_url": target.link} if target.link else {}
        return _post(target, f"statuses/{target.commit}", {**state, **_description(told), **link})
    if not kept:
        return _post(target, "deployments", _deployment(target, told), keep="id")
    link = {"log_url": target.link} if target.link else {}
    state = {"state": DEPLOYMENT[told.state.tone], "environment": told.service}
    return _post(target, f"deployments/{kept}/statuses", {**state, **_description(told), **link})


def _deployment(target: Target, told: Told) -> dict[str, object]:
    return {
        "ref": target.commit,
        "environment": told.service,
        "description": cut(f"{target.context}: {told.image}", LONGEST),
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"rollout": told.subject},
    }


def _description(told: Told) -> dict[str, str]:
    return {"description": cut(told.text, LONGEST)}


def _post(target: Target, path: str, json: dict[str, object] | dict[str, str], keep: str = "") -> Call:
    headers = {
        "Authorization": f"Bearer {target.token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return Call(f"{target.api}/repos/{target.repository}/{path}", headers, json, keep)
