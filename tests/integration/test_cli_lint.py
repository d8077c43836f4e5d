"""nodewise lint, as typed: exit code 1 on any error, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodewise.cli import app

RIGHT = "hooks: {shop: {provider: github, secrets_files: [/nowhere/shop]}}\n"
WRONG = "hooks:\n  shop:\n    provider: githup\n    secrets: [x]\n"


@pytest.fixture
def typed(tmp_path: Path):
    def run(text: str, *words: str):
        (tmp_path / "n.yaml").write_text(text)
        return CliRunner().invoke(app, ["lint", str(tmp_path / "n.yaml"), *words])

    return run


def test_an_error_is_told_with_place_value_and_way_out(typed) -> None:
    done = typed(WRONG)
    assert done.exit_code == 1
    assert "error: line 3, hooks.shop.provider = 'githup'" in done.stdout
    assert "did you mean 'github'?" in done.stdout
    assert done.stdout.endswith("1 error, 0 warnings\n")


def test_a_warning_is_no_error_and_what_is_configured_is_told(typed) -> None:
    done = typed(RIGHT)
    assert done.exit_code == 0
    assert "warning: line 1, hooks.shop.secrets_files = '/nowhere/shop'" in done.stdout
    assert "  hook shop: github, at /hooks/github/shop, 1 secret\n" in done.stdout
    assert done.stdout.endswith("0 errors, 1 warning\n")


@pytest.mark.parametrize(("text", "code"), [(RIGHT, 0), (WRONG, 1)])
def test_json_has_the_same_for_scripts(typed, text: str, code: int) -> None:
    done = typed(text, "--json")
    (file,) = json.loads(done.stdout)["files"]
    assert (done.exit_code, file["ok"]) == (code, code == 0)
    (found,) = file["findings"]
    assert found["level"] == ("error" if code else "warning")
    assert set(found) == {"level", "path", "line", "value", "what", "hint"}
