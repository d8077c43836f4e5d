"""docs/mistakes.md and the tests that it names are in step."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mistakes.md"
FILES = [ROOT / "tests" / folder / "test_mistakes_made_elsewhere.py" for folder in ("e2e", "simulated")]
ROW = re.compile(r"\| (\d+) \| .+ \(([^()]+)\) \| .+ \| `(test_\w+)` \|")
DOCSTRING = re.compile(r"Mistake (\d+) \(([^()]+)\): \S")


def in_the_page() -> list[tuple[str, ...]]:
    """Number, where, and test of every row. A row that cannot be read is an error."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")][2:]
    found = [(row, ROW.fullmatch(row)) for row in rows]
    assert [row for row, match in found if match is None] == []
    return [match.groups() for _, match in found if match is not None]


def in_the_tests() -> list[tuple[str, ...]]:
    """The same, as the tests' own docstrings say it."""
    functions = [
        node
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    found = [(f.name, DOCSTRING.match(ast.get_docstring(f) or "")) for f in functions]
    assert [name for name, match in found if match is None] == []
    return [(*match.groups(), name) for name, match in found if match is not None]


def test_every_mistake_in_the_page_has_its_test_and_every_test_its_row():
    page, tests = in_the_page(), in_the_tests()
    assert len(page) == len({name for *_, name in page}) > 0
    assert sorted(page) == sorted(tests)


def test_the_readme_leads_to_the_page():
    assert "(docs/mistakes.md)" in (ROOT / "README.md").read_text()
