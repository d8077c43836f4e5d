"""API tokens: made, kept as a hash, recognised. Knows the store and no transport.

A token is 32 random bytes, so a plain SHA-256 is enough to keep it: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from nodewise.bootstrap import Deps
from nodewise.domain.access import SCOPES, Audit, Token
from nodewise.domain.errors import NotFound, UserError

PREFIX = "nw_"
ADMIN_FILE = "admin.token"
ADMIN_NAME = "local-admin"
TOUCH_EVERY = 60.0  # seconds: "last used" need not be truer than that, and each note is a write
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(deps: Deps, name: str, scopes: Iterable[str], who: str) -> str:
    """A new token, which nobody can read again. Raises UserError for a name in use or an unknown scope."""
    wanted = frozenset(scopes)
    unknown = sorted(wanted - set(SCOPES))
    if unknown or not wanted:
        what = f"there is no scope {unknown[0]!r}" if unknown else "a token needs at least one scope"
        raise UserError(what, f"scopes are: {', '.join(SCOPES)}", "scope")
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a token", "allowed: letters, digits, _ . -, at most 64", "name")
    if any(t.name == name for t in deps.store.tokens()):
        raise UserError(f"there is, or was, a token {name!r}", "take another name: the audit tells who by it", "name")
    now = deps.clock.now()
    token = PREFIX + secrets.token_urlsafe(32)
    deps.store.add_token(name, hash_of(token), wanted, now)
    deps.store.add_audit(Audit(now, who, "token created", name, ",".join(sorted(wanted))))
    return token


def revoke(deps: Deps, name: str, who: str) -> None:
    """From now on the token is refused. Raises NotFound."""
    if not any(t.name == name for t in deps.store.tokens()):
        raise NotFound(f"there is no token {name!r}", "see 'nodewise token list'", "name")
    now = deps.clock.now()
    deps.store.revoke_token(name, now)
    deps.store.add_audit(Audit(now, who, "token revoked", name))


def recognise(deps: Deps, token: str) -> Token | None:
    """Whose token this is; None for one that is unknown or revoked."""
    found: Token | None = deps.store.token_by_hash(hash_of(token))
    if found is None or found.revoked_at is not None:
        return None
    now = deps.clock.now()
    if now - (found.last_used_at or 0.0) > TOUCH_EVERY:
        deps.store.touch_token(found.name, now)
    return found


def ensure_admin_token(deps: Deps) -> Path:
    """The file with a token for this machine's own command line, readable by its owner alone.

    A token that was revoked or lost is followed by a new one, under a name that was not used before.
    """
    path = Path(deps.settings.data_dir) / ADMIN_FILE
    if path.exists() and recognise(deps, path.read_text().strip()) is not None:
        return path
    taken = {t.name for t in deps.store.tokens()}
    names = (ADMIN_NAME if n == 1 else f"{ADMIN_NAME}-{n}" for n in range(1, len(taken) + 2))
    token = create(deps, next(n for n in names if n not in taken), ["admin"], "system")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{token}\n")
    draft.replace(path)
    return path
