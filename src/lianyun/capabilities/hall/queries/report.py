"""Report: how many materials were asked for and how many freed, by item and by ground."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from lianyun.kernel.access import Actor

from ..models import MaterialState
from ..rules import grounds

FREEING = tuple((g, title) for g, title in grounds.WORDS.items() if g != grounds.UPLOAD)
"""The grounds on which a material is free, with their words."""


@dataclass(frozen=True)
class Freed:
    """One item's materials: how many its applications needed, and what became of them."""

    item: str
    name: str
    applications: int
    needed: int
    by_ground: dict[str, int]

    @property
    def pk(self) -> str:
        """The row's name in a list."""
        return self.item

    @property
    def freed(self) -> int:
        """Not handed in on any ground."""
        return sum(n for g, n in self.by_ground.items() if g != grounds.UPLOAD)

    @property
    def uploaded(self) -> int:
        """Handed in."""
        return self.by_ground.get(grounds.UPLOAD, 0)

    @property
    def share(self) -> float:
        """The freed part of what was needed, 0 to 1."""
        return self.freed / self.needed if self.needed else 0.0


def by_item(viewer: Actor, since: dt.date | None = None) -> list[Freed]:
    """Filed applications' materials of the viewer's departments, those with most first; one query."""
    viewer.require("hall.report")
    rows = MaterialState.objects.exclude(application__case=None)
    scope = viewer.departments("hall.report")
    if scope is not None:
        rows = rows.filter(application__department_id__in=scope)
    if since is not None:
        rows = rows.filter(application__filed_at__date__gte=since)
    counted = {g: Count("id", filter=Q(ground=g, met=True)) for g in grounds.WORDS}
    found: Iterable[Any] = (
        rows.values("application__item", "application__item_name")
        .annotate(
            needed=Count("id", filter=Q(required=True) | Q(met=True)),
            applications=Count("application", distinct=True),
            **{f"by_{g}": n for g, n in counted.items()},
        )
        .order_by("-needed")
    )
    return [
        Freed(
            row["application__item"],
            row["application__item_name"],
            row["applications"],
            row["needed"],
            {g: row[f"by_{g}"] for g in grounds.WORDS if row[f"by_{g}"]},
        )
        for row in found
    ]


def by_ground(items: list[Freed]) -> list[tuple[str, int]]:
    """(ground in words, materials) over all items, in the order of the grounds."""
    return [
        (title, total)
        for g, title in grounds.WORDS.items()
        if (total := sum(i.by_ground.get(g, 0) for i in items))
    ]


__all__ = ["FREEING", "Freed", "by_ground", "by_item"]
