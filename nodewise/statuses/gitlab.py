"""GitLab: a commit status for each rollout and each build; it is shown as an external job of the commit's pipeline.

Source: https://docs.gitlab.com/api/commits/#set-commit-pipeline-status.

- The project's path is one part of the address, with its slashes encoded. The path under which GitLab itself is served
  is a part of the repository's address, and none of the project's.
- A status cannot be set to what it is, or go back from running to pending; GitLab answers 400 "Cannot transition
  status". Hence all that is on its way is running; and being told so again is no error.
- Descriptions have at most 255 characters.
- The token needs the scope ``api`` and the role Developer.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from nodewise.domain.told import Told, Tone
from nodewise.statuses import Call, Target, cut

LONGEST = 255
STATES = {
    Tone.ASKED: "pending",
    Tone.GOES: "running",
    Tone.STANDS: "running",
    Tone.GOOD: "success",
    Tone.BAD: "failed",
    Tone.OVER: "canceled",
}


def call(target: Target, told: Told, kept: str) -> Call:
    """Nothing is kept: the status is found by its name."""
    served_under = urlsplit(target.api).path.partition("/api/")[0].strip("/")
    project = target.repository.removeprefix(f"{served_under}/" if served_under else "")
    body = {
        "state": STATES[told.state.tone],
        "name": target.context,
        "description": cut(told.text, LONGEST),
        **({"target_url": target.link} if target.link else {}),
    }
    url = f"{target.api}/projects/{quote(project, safe='')}/statuses/{target.commit}"
    return Call(url, {"PRIVATE-TOKEN": target.token}, body, fine="Cannot transition status")
