"""The examples of docs/alerts.md, held against the programs that read them."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from nodewise.config.file import load_file
from tests.docs import DOCS
from tests.integration.gate_parts import need


def example(start: str) -> str:
    """The block of the page that begins with that word."""
    blocks = [textwrap.dedent(b) for b in re.findall(r"```yaml\n(.*?)\s*```", (DOCS / "alerts.md").read_text(), re.S)]
    (found,) = [b for b in blocks if b.startswith(start)]
    return found


def test_the_hook_is_one(tmp_path: Path):
    (tmp_path / "nodewise.yaml").write_text(example("hooks:"))
    assert load_file(tmp_path / "nodewise.yaml").hooks["alertmanager"].provider == "alertmanager"


@pytest.mark.parametrize(
    ("start", "command"),
    [("groups:", ("promtool", "check", "rules")), ("route:", ("amtool", "check-config"))],
)
def test_prometheus_and_alertmanager_take_what_is_shown(start: str, command: tuple[str, ...], tmp_path: Path):
    need(command[0])
    file = tmp_path / "example.yml"
    file.write_text(example(start))
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
