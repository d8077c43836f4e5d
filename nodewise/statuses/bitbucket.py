"""Bitbucket Cloud: a build status of the commit for each rollout and each build.

Source: https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/.

- The key has at most 40 characters ("Ensure this value has at most 40 characters"); a longer one is cut, and ends in a
  digest of the whole.
- An address is required; without one of Nodewise's own it is the commit's. Bitbucket fills in words in braces there.
- The same key once more overwrites the status.
- The token is an access token of the repository, project or workspace with the permission to write to repositories.
"""

from __future__ import annotations

import hashlib

from nodewise.domain.told import Told, Tone
from nodewise.statuses import Call, Target, cut

LONGEST_KEY, LONGEST = 40, 255
STATES = {Tone.GOOD: "SUCCESSFUL", Tone.BAD: "FAILED", Tone.OVER: "STOPPED"}


def call(target: Target, told: Told, kept: str) -> Call:
    """Nothing is kept: the status is found by its key."""
    body = {
        "key": _key(target.context),
        "state": STATES.get(told.state.tone, "INPROGRESS"),
        "name": target.context,
        "description": cut(told.text, LONGEST),
        "url": target.link or f"https://bitbucket.org/{target.repository}/commits/{target.commit}",
    }
    url = f"{target.api}/repositories/{target.repository}/commit/{target.commit}/statuses/build"
    return Call(url, {"Authorization": f"Bearer {target.token}"}, body)


def _key(context: str) -> str:
    if len(context) <= LONGEST_KEY:
        return context
    return f"{context[: LONGEST_KEY - 9]}-{hashlib.sha256(context.encode()).hexdigest()[:8]}"
