"""Schema: the database's shape: brought up to date at start, quickly, and checked for health."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

# One starter at a time brings the database up to date.
_LOCK = 0x6C79_0002


def wanted() -> list[tuple[str, str]]:
    """Every migration on disk as (app, name), sorted."""
    return sorted(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def digest() -> str:
    """A short name for the set of migrations on disk."""
    text = "\n".join(f"{app}.{name}" for app, name in wanted())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def current(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database has every migration that is on disk."""
    applied = set(MigrationRecorder(connection).applied_migrations())
    return set(wanted()) <= applied


def bring_up_to_date(connection: Any, *, verbosity: int = 0) -> bool:
    """Migrate if anything is missing; returns whether something was done."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        if current(connection):
            return False
        call_command("migrate", verbosity=verbosity, interactive=False, run_syncdb=True)
        return True
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def main() -> None:
    """Bring the configured database up to date: ``python -m lianyun.project.schema``."""
    import os

    import django
    from django.db import connection

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lianyun.project.settings")
    django.setup()
    bring_up_to_date(connection)


if __name__ == "__main__":
    main()
