"""Limits: how often a number, an account or an address may be tried, counted in the database."""

from __future__ import annotations

import datetime as dt
import hashlib

from django.db import connection
from django.utils import timezone

from lianyun.kernel.access import UserError

from .. import queries

_COUNT = (
    'INSERT INTO identity_tries (key, "window", count) VALUES (%s, %s, 1)'
    ' ON CONFLICT (key, "window") DO UPDATE SET count = identity_tries.count + 1 RETURNING count'
)
TOO_OFTEN = "尝试次数过多，请稍后再试"


def _slot(use: str, what: str) -> tuple[str, dt.datetime, int]:
    limit = queries.limit(use)
    seconds = int(limit["seconds"])
    begin = int(timezone.now().timestamp()) // seconds * seconds
    digest = hashlib.sha256(f"{use}:{what}".encode()).hexdigest()
    return digest, dt.datetime.fromtimestamp(begin, tz=dt.UTC), int(limit["most"])


def count(use: str, what: str) -> bool:
    """Count one try; False when it is one too many. `use` is declared in packs/core/access.yaml."""
    digest, window, most = _slot(use, what)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [digest, window])
        return int(cursor.fetchone()[0]) <= most


def spend(use: str, what: str) -> None:
    """Count one try; raises UserError when it is one too many."""
    if not count(use, what):
        raise UserError(TOO_OFTEN)


def spent(use: str, what: str) -> bool:
    """Whether the tries are used up, without counting one."""
    digest, window, most = _slot(use, what)
    return queries.tries(digest, window) >= most
