"""Installation: a new one for a measurement, with a durable database of its own, gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lianyun.project.postgres import Server


@contextmanager
def installation(**environment: str) -> Iterator[tuple[Path, Server]]:
    """Its home and its database server, with Django set up and the packs installed.

    `environment` is set before the settings are read. Everything is imported here, since the
    settings read the environment once.
    """
    with tempfile.TemporaryDirectory(prefix="lianyun-bench-") as home:
        Path(home).chmod(0o755)
        os.environ.update(LIANYUN_HOME=home, DJANGO_SETTINGS_MODULE="lianyun.project.settings")
        os.environ.update(environment)
        from lianyun.project import postgres, schema

        server = postgres.Server(Path(home), durable=True)
        os.environ["LIANYUN_DATABASE_URL"] = server.start(dies_with_parent=True)
        try:
            import django
            from django.db import connections

            django.setup()
            schema.main([])
            yield Path(home), server
            connections.close_all()
        finally:
            server.stop()
