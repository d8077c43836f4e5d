"""Gitea, and Forgejo: a commit status for each rollout and each build.

Source: https://docs.gitea.com/api/ (repository, repoCreateStatus), https://codeberg.org/api/swagger for Forgejo.

- The states are those of modules/structs/commit_status.go; "warning" is for what something else came instead of.
- The token needs the scope ``write:repository``.
"""

from __future__ import annotations

from nodewise.domain.told import Told, Tone
from nodewise.statuses import Call, Target, cut

LONGEST = 255
STATES = {Tone.GOOD: "success", Tone.BAD: "failure", Tone.OVER: "warning"}


def call(target: Target, told: Told, kept: str) -> Call:
    """Nothing is kept: the newest status of a context counts."""
    owner_and_name = "/".join(target.repository.split("/")[-2:])  # Gitea may be served under a path of its own
    body = {
        "state": STATES.get(told.state.tone, "pending"),
        "context": target.context,
        "description": cut(told.text, LONGEST),
        **({"target_url": target.link} if target.link else {}),
    }
    url = f"{target.api}/repos/{owner_and_name}/statuses/{target.commit}"
    return Call(url, {"Authorization": f"token {target.token}"}, body)
