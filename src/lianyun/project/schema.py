"""Schema: the database's shape and what the packs declare, brought up to date at start.

The whole is skipped when nothing changed since the last time: the fingerprint of migrations,
packs and versions stands in the database itself and is read without Django.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from lianyun.project import postgres

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

PACKAGE = Path(__file__).resolve().parent.parent
# One starter at a time brings the database up to date.
_LOCK = 0x6C79_0002


class SchemaError(RuntimeError):
    """The database cannot be brought up to date; the message carries the cause."""


def packs_folder() -> Path:
    """The folder of packs, as the kernel finds it (without importing Django)."""
    return Path(os.environ.get("LIANYUN_PACKS") or PACKAGE.parent.parent / "packs")


def fingerprint() -> str:
    """A name for what the database should hold: migrations, packs, manifests and versions."""
    digest = hashlib.sha256()
    for name in ("django", "procrastinate"):
        digest.update(f"{name}={version(name)}\n".encode())
    for file in sorted(PACKAGE.glob("**/migrations/[0-9]*.py")):
        digest.update(f"{file.relative_to(PACKAGE)}\n".encode())
    folder = packs_folder()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def recorded(url: str) -> str | None:
    """The fingerprint that the database was last brought to, if any: a comment on the table of
    migrations, so that it goes wherever the database is copied to."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT obj_description(to_regclass('django_migrations'), 'pg_class')"
        ).fetchone()
    return str(row[0]) if row and row[0] else None


def current(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database has every migration that is on disk."""
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder

    wanted = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    return wanted <= set(MigrationRecorder(connection).applied_migrations())


def _declared_by_capabilities() -> list[Callable[..., object]]:
    """Every capability's `api.sync_declared(by=)`, what a capability needs before itself."""
    from importlib import import_module
    from importlib.util import find_spec

    from lianyun.kernel.manifest import manifests

    by_name = {manifest.name: manifest for manifest in manifests()}
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in by_name:
            return
        for needed in by_name[name].needs:
            visit(needed)
        ordered.append(name)

    for name in by_name:
        visit(name)
    found = []
    for name in ordered:
        api = f"lianyun.capabilities.{name}.api"
        if find_spec(api) is not None:
            sync = getattr(import_module(api), "sync_declared", None)
            if sync is not None:
                found.append(sync)
    return found


def _tables_missing(connection: Any) -> bool:
    """Whether a model has no table after all migrations (its first migration is not written)."""
    from django.apps import apps

    there = set(connection.introspection.table_names())
    return any(
        model._meta.managed and not model._meta.proxy and model._meta.db_table not in there
        for model in apps.get_models()
    )


def prepare(say: Callable[[str], None]) -> bool:
    """Bring the running database up to date if it is not; returns whether there was work.

    The work is done in a process of its own, so that the supervisor stays small.
    """
    url = postgres.database_url()
    if recorded(url) == fingerprint():
        return False
    say("正在更新数据库结构与行业包……")
    done = subprocess.run(
        [sys.executable, "-m", "lianyun.project.schema"], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SchemaError(f"数据库结构更新失败：\n{done.stderr[-4000:]}")
    return True


def bring_up_to_date(connection: Any, *, packs: bool = True) -> None:
    """Migrate, then install what the packs declare; other starters wait meanwhile."""
    from django.core.management import call_command

    from lianyun.kernel.access import SYSTEM
    from lianyun.kernel.install import install

    wanted = fingerprint()
    # The lock lives in a session of its own: it goes when that session goes, whatever fails.
    with psycopg.connect(postgres.database_url(), autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        from lianyun.project import baseline

        empty = not connection.introspection.table_names()
        if empty and os.environ.get("LIANYUN_BASELINE") != "0" and baseline.fits():
            connection.close()
            baseline.load(postgres.database_url())
        if not current(connection):
            call_command("migrate", verbosity=0, interactive=False)
        if _tables_missing(connection):
            call_command("migrate", verbosity=0, interactive=False, run_syncdb=True)
        if packs:
            install(by=SYSTEM)
            for sync in _declared_by_capabilities():
                sync(by=SYSTEM)
            comment = sql.SQL("COMMENT ON TABLE django_migrations IS {}")
            guard.execute(comment.format(sql.Literal(wanted)))


def main(arguments: list[str] | None = None) -> None:
    """``python -m lianyun.project.schema [--bare]``: bring the configured database up to date;
    ``--bare`` leaves out the packs (the tests' template)."""
    import django
    from django.db import connection

    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lianyun.project.settings")
    django.setup()
    bring_up_to_date(connection, packs="--bare" not in arguments)


if __name__ == "__main__":
    main()
