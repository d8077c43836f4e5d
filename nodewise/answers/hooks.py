"""The configured hooks, and what came in by each. Never what their secrets are."""

from __future__ import annotations

from nodewise.answers.rollout_schemas import Answer
from nodewise.bootstrap import Deps
from nodewise.config.hooks import hook_path


class Hook(Answer):
    """One hook: where it is delivered to, how many secrets are in force, and what came of it so far."""

    name: str
    provider: str
    path: str
    secrets: int
    last_delivery: float | None
    rejected: int
    last_rejected: float | None


def hooks(deps: Deps) -> list[Hook]:
    """Every hook of nodewise.yaml, by name."""
    last, rejected = deps.store.last_deliveries(), deps.store.rejected()
    found = []
    for name, config in sorted(deps.settings.hooks.items()):
        refused = [r for r in rejected if r.hook == name and r.provider == config.provider]
        found.append(
            Hook(
                name=name,
                provider=config.provider,
                path=hook_path(config.provider, name),
                secrets=len(config.secrets) + len(config.secrets_files),
                last_delivery=last.get(name),
                rejected=sum(r.count for r in refused),
                last_rejected=max((r.last_at for r in refused), default=None),
            )
        )
    return found
