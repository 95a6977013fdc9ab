"""Services' door: fields and masks of data, opening a service, credentials, and read-only questions."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Grant, Resource

from . import actions, queries, rules
from .actions import collect_secret, issue_client, open_service, rotate_secret
from .models import Client, Service
from .queries import fields, key_of, used_today
from .rules import Field


def masks(viewer: Actor, source: Resource, plain: Iterable[str]) -> dict[str, str]:
    """The masks under which a dataset or library is given, but for the fields granted in clear."""
    return rules.masks_of(fields(viewer, source), plain)


def ask(sql: str, by: Actor, limit: int = 1000) -> pa.Table:
    """Read-only SQL with the asker's rights and masks, as an Arrow table; raises UserError."""
    return actions.ask(sql=sql, by=by, limit=limit)


def allowed_tables(viewer: Actor) -> list[str]:
    """Names of the tables that the viewer may ask questions of."""
    return sorted(queries.allowed_tables(viewer))


def client_of(viewer: Actor, grant: Grant) -> Client | None:
    """The credential of a grant, if it has been issued."""
    return Client.objects.filter(grant=grant).first()


def service_of(viewer: Actor, source: Resource) -> Service | None:
    """The query service of a dataset or library, if it is open."""
    return Service.objects.filter(source=source).select_related("resource").first()


__all__ = [
    "Client",
    "Field",
    "Service",
    "allowed_tables",
    "ask",
    "client_of",
    "collect_secret",
    "fields",
    "issue_client",
    "key_of",
    "masks",
    "open_service",
    "rotate_secret",
    "service_of",
    "used_today",
]
