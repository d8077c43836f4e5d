"""What is logged, and what never is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from nodewise.logs import set_up


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_tells_where_it_was_and_no_variable(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(form=form)
    database_url = "postgresql://nodewise:" + "hunter2" + "@db/nodewise"
    try:
        raise ValueError(f"no database at {len(database_url)}")
    except ValueError:
        structlog.get_logger("tasks.perform").exception("job_crashed", job="j-1")
    said = capsys.readouterr().err
    assert "job_crashed" in said
    assert "no database at" in said
    assert "test_logs.py" in said
    assert "hunter2" not in said
