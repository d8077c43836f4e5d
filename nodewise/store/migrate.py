"""Brings a database's schema up to date. Safe when several processes do it at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from nodewise.store.database import Database

_LOCK = 0x6E6F6465  # a number of our own for PostgreSQL's advisory locks


def migrate(database: Database) -> None:
    """Run what is missing. One process does it, the others wait; SQLite's write lock does the same."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with database.read() as c:
        if MigrationContext.configure(c).get_current_revision() == head:
            return
    with database.write() as c:
        if not database.is_sqlite:
            c.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = c
        command.upgrade(config, "head")
