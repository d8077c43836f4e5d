"""The receiver with a hook for every way in which a provider proves itself, on a real store, and its log at hand."""

from __future__ import annotations

import io
import logging
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from sqlalchemy import select
from werkzeug.test import TestResponse

from nodewise import tokens
from nodewise.bootstrap import Deps
from nodewise.domain.delivery import Verdict
from nodewise.domain.events import Event
from nodewise.logs import set_up
from nodewise.store.database import Database
from nodewise.store.schema import metadata
from tests.integration.web_parts import open_deps, settings_in
from tests.unit.providers.keys import Papers
from tests.unit.providers.signers import HOOKS, Request, configuration
from workers.web import make_web_app

LARGEST = 200_000  # bytes of a body


class Receiver:
    """Requests go through Flask's test client; ``log`` is what the process has said."""

    def __init__(self, deps: Deps, log: io.StringIO) -> None:
        self.deps, self.log = deps, log
        self.papers = Papers(time.time())
        self._bearer = {"Authorization": f"Bearer {tokens.create(deps, 'tester', ['read'], 'test')}"}
        self._database = Database(deps.settings.database_url)
        self._client = make_web_app(deps, self.papers).test_client()

    def post(self, name: str, request: Request, **options: Any) -> TestResponse:
        """To the hook called *name*. *options* are the test client's."""
        path = f"/hooks/{HOOKS[name].provider}/{name}"
        query = options.pop("query_string", request.query)
        body = {"input_stream": io.BytesIO(request.body), "content_length": len(request.body)}
        return self._client.post(path, headers=request.headers, query_string=query, **body, **options)

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> TestResponse:
        """Anything but a delivery, by one who may read everything."""
        return self._client.open(path, method=method, query_string=query, headers=self._bearer)

    def events(self, answer: TestResponse) -> tuple[Verdict, list[Event]]:
        """What was made of an accepted request, as it is stored."""
        assert answer.status_code in (200, 202), answer.text
        stored = self.deps.store.delivery(answer.json["delivery"])
        assert stored is not None
        return stored.verdict, [e.event for e in self.deps.store.delivery_events(stored.id)]

    def stored(self) -> set[str]:
        """The ids of all deliveries."""
        return {row["id"] for row in self.rows()["deliveries"]}

    def rows(self) -> dict[str, list[Mapping[str, Any]]]:
        """Every row of every table; bodies as they came."""
        with self._database.read() as c:
            found = {t.name: [dict(r._mapping) for r in c.execute(select(t))] for t in metadata.sorted_tables}
        for row in found["deliveries"]:
            row["body"] = zlib.decompress(row["body"])
        return found


@contextmanager
def every_hook(folder: Path) -> Iterator[Receiver]:
    """A receiver with all of ``signers.HOOKS``, which logs what the product would."""
    (folder / "nodewise.yaml").write_text(yaml.safe_dump(configuration()))
    with pytest.MonkeyPatch.context() as patch, logged() as log:
        settings_in(folder, patch, 1, NODEWISE_MAX_BODY_BYTES=str(LARGEST))
        patch.setenv("NODEWISE_CONFIG", str(folder / "nodewise.yaml"))
        deps = open_deps()
        yield Receiver(deps, log)
        deps.store.close()


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """The product's own logging, at its most talkative, into what is given; as it was before, afterwards."""
    root = logging.getLogger()
    level, said = root.level, io.StringIO()
    with redirect_stderr(said):
        set_up("debug")
    (ours,) = root.handlers  # those of the test's own capture come and go with each test
    structlog.configure(cache_logger_on_first_use=False)  # or loggers of modules would go on like this
    try:
        yield said
    finally:
        root.removeHandler(ours)
        root.level = level
        structlog.reset_defaults()
