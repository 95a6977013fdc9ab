"""Report: how many packages were filed, where they stand, what asking once has spared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Case as When
from django.db.models import Count, F, IntegerField, Q, QuerySet, Sum, Value
from django.db.models import When as Then
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from lianyun.capabilities.hall import api as hall
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case

from .. import adapters
from ..models import Filing
from . import offered

COUNTED = (
    "items", "forms", "fields_apart", "fields", "materials_apart", "materials", "freed",
    "uploaded", "departments",
)  # fmt: skip


def filed(viewer: Actor) -> QuerySet[Filing]:
    """Filed packages that the viewer's departments lead or have an item of, newest first."""
    viewer.require("packages.read")
    rows = Filing.objects.exclude(case=None).select_related("case", "department", "applicant")
    scope = viewer.departments("packages.read")
    if scope is not None:
        refs = (
            hall.Application.objects.filter(department_id__in=scope)
            .exclude(bundle="")
            .values_list("bundle", flat=True)
            .distinct()
        )
        codes = [ref.removeprefix("package:") for ref in refs]
        rows = rows.filter(Q(department_id__in=scope) | Q(code__in=codes))
    return rows.order_by("-filed_at", "-id")


@dataclass(frozen=True)
class Row:
    """One package's figures."""

    package: str
    name: str
    number: int
    open: int
    late: int
    granted: int
    partly: int
    refused: int
    withdrawn: int
    items: int
    forms: int
    fields_apart: int
    fields: int
    materials_apart: int
    materials: int
    freed: int
    uploaded: int
    departments: int

    @property
    def materials_saved(self) -> int:
        """How many materials were not handed in that would have been, item by item."""
        return self.materials_apart - self.uploaded

    @property
    def visits_saved(self) -> int:
        """Departments that need not be gone to one by one: one filing in the place of each."""
        return max(self.departments - self.number, 0)

    @property
    def forms_saved(self) -> int:
        """Forms that need not be filled in one by one."""
        return max(self.forms - self.number, 0)


def figures(viewer: Actor) -> list[Row]:
    """Figures by package, those filed most first; packages that nobody filed are left out."""
    today = timezone.localdate()
    told = (
        filed(viewer)
        .order_by()
        .values("package")
        .annotate(
            number=Count("pk"),
            open=Count("pk", filter=Q(case__state=Case.OPEN)),
            late=Count("pk", filter=Q(case__state=Case.OPEN, due_on__lt=today)),
            **{
                outcome: Count("pk", filter=Q(case__outcome=outcome))
                for outcome in ("granted", "partly", "refused", "withdrawn")
            },
            **{name: _summed(name) for name in COUNTED},
        )
        .order_by("-number", "package")
    )
    names = {p.code: p.name for p in adapters.declared().values()}
    rows: list[dict[str, Any]] = [dict(r) for r in told]
    return [Row(**{**r, "name": names.get(r["package"], r["package"])}) for r in rows]


def faults(viewer: Actor) -> list[tuple[str, list[str]]]:
    """Packages that are declared and cannot be offered, and why; for who sees the whole city."""
    if viewer.departments("packages.read") is not None:
        return []
    names = {p.code: p.name for p in adapters.declared().values()}
    return [(names.get(code, "读不出的声明"), told) for code, told in offered.check(viewer).items()]


def _summed(name: str) -> Coalesce:
    number = When(
        Then(saved__has_key=name, then=Cast(KeyTextTransform(name, F("saved")), IntegerField())),
        default=Value(0),
    )
    return Coalesce(Sum(number), 0)


__all__ = ["COUNTED", "Row", "faults", "figures", "filed"]
