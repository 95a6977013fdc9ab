"""Federated services: open one over departments' own databases, and keep note of how these stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from lianyun.capabilities.catalogue import api as catalogue
from lianyun.kernel import resource as resources
from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Resource

from .. import adapters, rules
from ..models import Service

KIND = "federated"


@action(None)
def open_federated(
    *,
    source: Resource,
    columns: Sequence[rules.Field],
    lookups: Sequence[Sequence[str]],
    design: dict[str, Any],
    origins: Sequence[tuple[str, str]],
    calls_per_day: int = 0,
    calls_per_second: int = 0,
    by: Actor,
) -> Service:
    """Open (or change) the service that answers for a logical library from where its rows lie.

    Called by the action that draws it up, which has asked for the permission. `design` has `parts`
    (place, title, key, on, optional), `outputs` (column → part and column there), `ranges` and
    `seconds`; `origins` are the (ref, title) of what it reads.
    """
    adapters.lock(source.name)
    made, _ = resources.register(
        code=f"SV/{KIND}/{source.code}"[:80],
        name=f"{source.name[:52]}_{KIND}",
        kind=Resource.SERVICE,
        title=f"{source.title}{rules.KINDS[KIND]}",
        owner=source.owner,
        level=source.level,
        terms=source.terms,
        data={"source": source.ref, "lookups": list(map(list, lookups)), "kind": KIND},
    )
    kept = [asdict(f) for f in columns]
    service, _ = Service.objects.update_or_create(
        source=source,
        kind=KIND,
        version=1,
        defaults={
            "resource": made,
            "table": f"{KIND}.{source.name}",
            "lookups": [list(way) for way in lookups],
            "columns": kept,
            "design": design,
            "calls_per_day": calls_per_day,
            "calls_per_second": calls_per_second,
            "published_at": timezone.now(),
        },
    )
    snapshot = {"columns": kept, "lookups": service.lookups, "design": design}
    last = made.versions.order_by("-number").first()
    if last is None or last.snapshot != snapshot:
        resources.publish(made, snapshot, by=by)
    catalogue.register_lineage(
        origin=made.ref,
        edges=[
            *((ref, title, source.ref, source.title, "调用时读取") for ref, title in origins),
            (source.ref, source.title, made.ref, made.title, rules.KINDS[KIND]),
        ],
        by=by,
    )
    record("service.published", made, by=by, data={"source": source.ref, "kind": KIND})
    return service


@action(None)
def note_source(*, name: str, title: str, well: bool, reason: str, by: Actor) -> None:
    """A department's database no longer answers, or answers again: for the pages and the ledger."""
    kind = "source.recovered" if well else "source.unreachable"
    record(kind, name, by=by, data={"title": title, "reason": reason})
