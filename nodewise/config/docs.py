"""The reference pages docs/labels.md and docs/settings.md, made of the declarations and of nothing else."""

from __future__ import annotations

from nodewise.config.builds import AccessConfig, BuildConfig, SourceConfig
from nodewise.config.file import FileConfig, RegistryConfig
from nodewise.config.hooks import HookConfig
from nodewise.config.labels import LABELS, PREFIX
from nodewise.config.settings import PREFIX as ENV
from nodewise.config.settings import Settings
from nodewise.config.telling import NotificationConfig, StatusConfig


def labels_page() -> str:
    """Every label, its default and what is allowed."""
    rows = [
        f"| `{PREFIX}{name}` | {label.allowed} | {f'`{label.default}`' if label.default else ''} | {label.meaning}"
        f"{' *No effect in this version.*' if label.later else ''} |"
        for name, label in LABELS.items()
    ]
    head = (
        "# Labels of a service\n\nSet them under `deploy.labels` in a stack file, or with `docker service update"
        " --label-add`. All are optional. A wrong one stops nothing: the service is shown as misconfigured, by\n"
        "`nodewise status` and by the API, with the value, what is allowed and the nearest right one, and events leave"
        " it alone.\n\n| label | allowed | default | meaning |\n| --- | --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"


def settings_page() -> str:
    """Every environment variable, and every key of nodewise.yaml."""
    lines = [
        "# Settings\n",
        "Environment variables. `NODEWISE_X_FILE` names a file with the value of `NODEWISE_X`,\n"
        "such as a Docker secret.\n",
        "| variable | default | meaning |\n| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = None if field.default_factory else field.get_default()
        shown = ",".join(default) if isinstance(default, tuple) else default
        shown = "" if shown is None or shown == "" else f"`{shown}`"
        lines.append(f"| `{ENV}{name.upper()}` | {shown} | {field.description} |")
    lines.append("\n# The file nodewise.yaml\n\nIts path is in `NODEWISE_CONFIG`. Unknown keys are errors.")
    for title, model in (
        ("the file", FileConfig),
        ("`hooks.<name>`", HookConfig),
        ("`builds.<name>`", BuildConfig),
        ("`builds.<name>.access`", AccessConfig),
        ("`builds.<name>.source`", SourceConfig),
        ("`registries.<host>`", RegistryConfig),
        ("`notifications`, each", NotificationConfig),
        ("`statuses.<name>`", StatusConfig),
    ):
        lines.append(f"\n## {title}\n\n| key | meaning |\n| --- | --- |")
        lines += [f"| `{key}` | {field.description} |" for key, field in model.model_fields.items()]
    return "\n".join(lines) + "\n"
