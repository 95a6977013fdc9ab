"""Services' door: fields and masks of data, opening a service, credentials."""

from __future__ import annotations

from collections.abc import Iterable

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Grant, Resource

from . import rules
from .actions import (
    collect_secret,
    design_service,
    issue_client,
    issue_trial,
    open_federated,
    open_service,
    rotate_secret,
)
from .fast.callers import (
    Refused,
    browser_problem,
    identify_caller,
    note_refusal,
    use_call,
    visitors_wait,
)
from .models import Client, Service
from .queries import fields, key_of, used_today
from .rules import OPERATIONS, Design, Field, operations_of


def masks(viewer: Actor, source: Resource, plain: Iterable[str]) -> dict[str, str]:
    """The masks under which a dataset or library is given, but for the fields granted in clear."""
    return rules.masks_of(fields(viewer, source), plain)


def client_of(viewer: Actor, grant: Grant) -> Client | None:
    """The credential of a grant, if it has been issued."""
    return Client.objects.filter(grant=grant).first()


def service_of(viewer: Actor, source: Resource) -> Service | None:
    """The query service of a dataset or library, if it is open."""
    rows = Service.objects.filter(source=source, kind="query").select_related("resource")
    return rows.order_by("version").first()


def services_of(viewer: Actor, source: Resource) -> list[Service]:
    """All services of a dataset or library, by kind and version."""
    return list(Service.objects.filter(source=source).select_related("resource"))


def groups_of(fields: Iterable[Field]) -> list[str]:
    """The fields that may divide people into groups: no number, name or address of theirs."""
    return [f.name for f in fields if rules.groupable(f)]


__all__ = [
    "OPERATIONS",
    "Client",
    "Design",
    "Field",
    "Refused",
    "Service",
    "browser_problem",
    "client_of",
    "collect_secret",
    "design_service",
    "fields",
    "groups_of",
    "identify_caller",
    "issue_client",
    "issue_trial",
    "key_of",
    "masks",
    "note_refusal",
    "open_federated",
    "open_service",
    "operations_of",
    "rotate_secret",
    "service_of",
    "services_of",
    "use_call",
    "used_today",
    "visitors_wait",
]
