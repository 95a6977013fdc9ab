"""Board: how each dataset fares: loads, freshness, use."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Count, Max, Min, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from lianyun.kernel.models import Batch, Resource

from .. import rules
from ..models import Source, Use
from .batches import loads
from .rows import newest_stamp
from .spec import dataset

if TYPE_CHECKING:
    from lianyun.kernel.access import Actor


@dataclass
class Row:
    """One dataset on the board: its last load, how fresh it is, whether anyone reads it."""

    resource: Resource
    cycle: str
    fresh: rules.Freshness
    loads: int = 0
    last: Batch | None = None
    running: Batch | None = None
    last_good_at: dt.datetime | None = None
    first_good_at: dt.datetime | None = None
    rows: int | None = None
    score: float | None = None
    rejected: int = 0
    sources: int = 0
    used: int = 0
    last_read: dt.datetime | None = None
    unread: bool = False
    trend: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The dataset's identifier."""
        return self.resource.name

    @property
    def title(self) -> str:
        """The dataset's title."""
        return self.resource.title

    @property
    def owner(self) -> str:
        """The providing department's short name."""
        return str(self.resource.owner)

    @property
    def department(self) -> str:
        """The providing department's slug."""
        return self.resource.owner.slug or ""

    @property
    def state(self) -> str:
        """The freshness word by which the board is filtered."""
        return self.fresh.state

    @property
    def rank(self) -> int:
        """Where the row stands when the worst come first."""
        order = {"dead": 0, "late": 1, "due": 2, "fresh": 3, "any": 4, "empty": 6}
        return order[self.fresh.state] if not self.unread else min(order[self.fresh.state], 1)

    @property
    def names_red(self) -> bool:
        """Late, dead or never read: named in red."""
        return self.fresh.red or self.unread

    @property
    def trend_points(self) -> str:
        """The landed rows of the last loads as points of an SVG line (80 × 24)."""
        values = self.trend
        if len(values) < 2:
            return ""
        top = max(values) or 1
        step = 80 / (len(values) - 1)
        return " ".join(
            f"{i * step:.1f},{22 - 20 * value / top:.1f}" for i, value in enumerate(values)
        )


def cycle_of(resource: Resource) -> str:
    """The update cycle that the catalogue gives a dataset; 不定期 where it says nothing."""
    return str(resource.terms.get("cycle") or resource.data.get("cycle") or "不定期")


def board(viewer: Actor, *, everything: bool = False) -> list[Row]:
    """All datasets that were loaded or have a source, the worst first; `everything` adds the rest.

    Every reader of collection sees all departments: lateness is the city's business.
    """
    now = timezone.now()
    good = Q(batches__state=Batch.SUCCEEDED) & ~Q(batches__mode=rules.UNDO)
    newest = Batch.objects.filter(loads(), resource=OuterRef("pk")).order_by("-id")
    found = (
        Resource.objects.filter(kind=Resource.DATASET)
        .exclude(state=Resource.WITHDRAWN)
        .select_related("owner")
        .defer("search")
        .annotate(
            loads=Count("batches", filter=good),
            first_good=Min("batches__finished_at", filter=good),
            last_good=Max("batches__finished_at", filter=good),
            any_batch=Max("batches__id"),
            newest_good=Subquery(newest.values("pk")[:1]),
        )
    )
    sources = dict(
        Source.objects.values_list("resource").annotate(n=Count("pk")).values_list("resource", "n")
    )
    uses = {
        pk: (count, at)
        for pk, count, at in Use.objects.values("resource")
        .annotate(n=Sum("count"), at=Max("last_at"))
        .values_list("resource", "n", "at")
    }
    resources = [r for r in found if everything or r.any_batch or r.pk in sources]
    wanted = {r.any_batch for r in resources} | {r.newest_good for r in resources}
    batches = Batch.objects.in_bulk([pk for pk in wanted if pk])
    trend = _trends([r.pk for r in resources if r.loads])
    rows = []
    for resource in resources:
        last = batches.get(resource.any_batch)
        best = batches.get(resource.newest_good)
        used, read_at = uses.get(resource.pk, (0, None))
        cycle = cycle_of(resource)
        rows.append(
            Row(
                resource=resource,
                cycle=cycle,
                fresh=rules.freshness(
                    cycle, resource.last_good, now, resource.loads, newest_stamp(best)
                ),
                loads=resource.loads,
                last=last,
                running=last if last is not None and last.state == Batch.RUNNING else None,
                last_good_at=resource.last_good,
                first_good_at=resource.first_good,
                rows=best.outcome.get("total") if best else None,
                score=best.score if best else None,
                rejected=best.rejected if best else 0,
                sources=sources.get(resource.pk, 0),
                used=used,
                last_read=read_at,
                unread=rules.never_read(read_at, resource.first_good, now),
                trend=trend.get(resource.pk, []),
            )
        )
    rows.sort(key=lambda r: (r.rank, r.resource.owner_id, r.resource.code))
    return rows


def _trends(resources: list[int], last: int = 12) -> dict[int, list[int]]:
    """The landed rows of each dataset's last loads, oldest first."""
    out: dict[int, list[int]] = defaultdict(list)
    rows = (
        Batch.objects.filter(loads(), resource__in=resources)
        .order_by("-id")
        .values_list("resource", "landed")[: 40 * last]
    )
    for pk, landed in rows:
        if len(out[pk]) < last:
            out[pk].insert(0, landed)
    return out


@dataclass(frozen=True)
class Summary:
    """The board's head: how many datasets stand how."""

    datasets: int
    fresh: int
    late: int
    dead: int
    unread: int
    rows: int

    @property
    def share(self) -> float | None:
        """The share of datasets with a cycle that are on time."""
        judged = self.fresh + self.late + self.dead
        return self.fresh / judged if judged else None


def summary(rows: Sequence[Row]) -> Summary:
    """The figures above the board."""
    return Summary(
        datasets=sum(1 for r in rows if r.loads),
        fresh=sum(1 for r in rows if r.state in ("fresh", "due")),
        late=sum(1 for r in rows if r.state == "late"),
        dead=sum(1 for r in rows if r.state == "dead"),
        unread=sum(1 for r in rows if r.unread),
        rows=sum(r.rows or 0 for r in rows),
    )


def departments_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(slug, short name) of the departments on the board."""
    return sorted({(r.department, r.owner) for r in rows if r.department})


def one_row(name: str, viewer: Actor) -> Row:
    """A dataset's own row, as on the board."""
    resource = dataset(name)
    now = timezone.now()
    good = resource.batches.filter(loads())
    span = good.aggregate(first=Min("finished_at"), last=Max("finished_at"), n=Count("pk"))
    used = resource.uses.aggregate(n=Sum("count"), at=Max("last_at"))
    last = resource.batches.order_by("-id").first()
    best = good.order_by("-id").first()
    cycle = cycle_of(resource)
    return Row(
        resource=resource,
        cycle=cycle,
        fresh=rules.freshness(cycle, span["last"], now, span["n"], newest_stamp(best)),
        loads=span["n"],
        last=last,
        running=last if last is not None and last.state == Batch.RUNNING else None,
        last_good_at=span["last"],
        first_good_at=span["first"],
        rows=best.outcome.get("total") if best else None,
        score=best.score if best else None,
        rejected=best.rejected if best else 0,
        sources=resource.sources.count(),
        used=used["n"] or 0,
        last_read=used["at"],
        unread=rules.never_read(used["at"], span["first"], now),
        trend=_trends([resource.pk]).get(resource.pk, []),
    )
