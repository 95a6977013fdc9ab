"""Own: what the city's datasets hold about one person, read for that person alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.catalogue import api as catalogue
from lianyun.capabilities.collection import api as collection
from lianyun.capabilities.quality import api as quality
from lianyun.kernel.access import Actor
from lianyun.kernel.element import mask_value
from lianyun.kernel.models import Resource
from lianyun.lake.shelves import quote, table_columns

from .. import rules

MOST_ROWS = 100


def is_own(viewer: Actor, citizen_number: str) -> bool:
    """Whether this is the number that the viewer's account is tied to."""
    mine = viewer.party.data.get("citizen_hash") if viewer.party is not None else None
    return bool(mine) and audit.keyed_hash(citizen_number.strip().upper()) == mine


def personal_datasets(viewer: Actor) -> list[Resource]:
    """Published datasets about persons that may be shown to them: not 不予共享, below level 4."""
    rows = Resource.objects.filter(kind=Resource.DATASET, state=Resource.PUBLISHED, level__lt=4)
    about = rows.filter(Q(items__element="citizen_number")).distinct().select_related("owner")
    return [r for r in about.order_by("code") if rules.share_type(r.terms) != rules.FORBIDDEN]


def _owners(con: Any, resource: Resource) -> list[str]:
    there = table_columns(con, "trusted", resource.name)
    return [c for c in quality.owner_columns(resource) if c in there]


def _mine(owners: list[str]) -> str:
    return " OR ".join(f"CAST({quote(c)} AS VARCHAR) = ?" for c in owners)


def own_counts(viewer: Actor, citizen_number: str) -> list[tuple[Resource, int]]:
    """The datasets that hold the viewer's own rows, with how many."""
    if not is_own(viewer, citizen_number):
        return []
    number, out = citizen_number.strip().upper(), []
    listed = personal_datasets(viewer)
    with collection.lake().connect(read_only=True) as con:
        for resource in listed:
            owners = _owners(con, resource)
            if not owners:
                continue
            row = con.execute(
                f"SELECT count(*) FROM lake.trusted.{quote(resource.name)} WHERE {_mine(owners)}",
                [number] * len(owners),
            ).fetchone()
            if row and row[0]:
                out.append((resource, int(row[0])))
    return out


@dataclass(frozen=True)
class OwnRow:
    """One row about the viewer: its key, and its items as (name, title, value)."""

    key: dict[str, str]
    cells: list[tuple[str, str, str]]


def own_rows(viewer: Actor, resource: Resource, citizen_number: str) -> list[OwnRow]:
    """The viewer's own rows of a dataset in the order of its key; numbers of others are masked."""
    if not is_own(viewer, citizen_number):
        return []
    number = citizen_number.strip().upper()
    items = catalogue.items_of(resource)
    with collection.lake().connect(read_only=True) as con:
        there = table_columns(con, "trusted", resource.name)
        owners = _owners(con, resource)
        names = [i.name for i in items if i.name in there]
        if not owners:
            return []
        key = [k for k in quality.key_of(resource) if k in there]
        order = ", ".join(quote(k) for k in key) or "1"
        rows = con.execute(
            f"SELECT {', '.join(quote(n) for n in names)} FROM lake.trusted.{quote(resource.name)} "
            f"WHERE {_mine(owners)} ORDER BY {order} LIMIT {MOST_ROWS}",
            [number] * len(owners),
        ).fetchall()
    titles = {i.name: i.title for i in items}
    out = []
    for row in rows:
        values = {n: "" if v is None else str(v) for n, v in zip(names, row, strict=True)}
        shown = [
            (n, titles[n], mask_value("citizen_number", v) if n in owners and v != number else v)
            for n, v in values.items()
        ]
        out.append(OwnRow({k: values[k] for k in key}, shown))
    return out


def own_dataset(viewer: Actor, name: str) -> Resource | None:
    """One of the datasets that may be shown to the persons they are about."""
    return next((r for r in personal_datasets(viewer) if r.name == name), None)
