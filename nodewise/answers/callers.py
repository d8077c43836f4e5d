"""Who may ask, and who was turned away: tokens of the API, and hooks whose sender signs otherwise than they expect."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodewise.answers.checks import Check, ago
from nodewise.answers.hooks import hooks
from nodewise.bootstrap import Deps
from nodewise.domain.access import Token

DAY = 86400.0
TRIED = 7 * DAY  # a token that nobody has used by then is wanted by nobody
IDLE = 90 * DAY
OLD = 365 * DAY


def check_tokens(deps: Deps, own: str, file: Path) -> Iterator[Check]:
    """*own*: how the names of this machine's own tokens begin; *file*: where such a token is."""
    valid = [t for t in deps.store.tokens() if t.revoked_at is None]
    if not any("admin" in t.scopes for t in valid):
        hint = "start 'nodewise up' (or web), which makes one for this machine; or 'nodewise token create'"
        yield Check("tokens", False, "no token may administer", hint)
    if _open_to_others(file):
        yield Check("tokens", True, f"others on this machine can read {file}", f"chmod 600 {file}")
    now = deps.clock.now()
    wanted = [t for t in valid if not t.name.startswith(own)]
    unused = [t.name for t in wanted if _unused(t, now)]
    old = [t.name for t in wanted if now - t.created_at > OLD and t.name not in unused]
    yield from _told(unused, "not used for long, or never", "nodewise token revoke NAME, if nobody needs it")
    yield from _told(old, "older than a year", "make a new one, hand it over, and revoke the old one")
    if valid and not unused and not old:
        yield Check("tokens", True, f"{len(valid)} valid")


def _unused(token: Token, now: float) -> bool:
    if token.last_used_at is None:
        return now - token.created_at > TRIED
    return now - token.last_used_at > IDLE


def _told(names: Sequence[str], what: str, hint: str) -> Iterator[Check]:
    if names:
        yield Check("tokens", True, f"{what}: {', '.join(names)}", hint)


def _open_to_others(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


def check_rejected(deps: Deps) -> Iterator[Check]:
    """Hooks that have turned somebody away within a day, and have let nobody in since."""
    now = deps.clock.now()
    for hook in hooks(deps):
        last = hook.last_rejected
        if last is None or now - last > DAY or (hook.last_delivery or 0.0) > last:
            continue
        detail = (
            f"{hook.name} has turned away {hook.rejected} in all, the last {ago(now - last)} ago, and let in none since"
        )
        yield Check("rejected", True, detail, "compare the secret at the provider; see 'nodewise deliveries'")
