"""Figures: coverage, completeness and pass rate, by type, department and city.

覆盖率: of the registrations in force in departments' registers, how many have an electronic licence.
完整率: of the licences in force, how many have every declared element. 合格率: how many pass all
checks (numbers, codes, dates). Licences per thousand inhabitants are counted beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from lianyun.kernel import packs
from lianyun.kernel.access import Actor
from lianyun.kernel.models import Party

from ..adapters import registers
from ..models import Document, Licence, Run, Showing
from . import kinds


@dataclass(frozen=True)
class Line:
    """The figures of one type, one department or the city."""

    name: str
    title: str
    department: str
    registered: int
    covered: int
    held: int
    whole: int
    passed: int

    @property
    def coverage(self) -> float | None:
        """覆盖率, 0 to 1; None where no register is known."""
        return self.covered / self.registered if self.registered else None

    @property
    def completeness(self) -> float | None:
        """完整率."""
        return self.whole / self.held if self.held else None

    @property
    def pass_rate(self) -> float | None:
        """合格率."""
        return self.passed / self.held if self.held else None


@dataclass(frozen=True)
class Figures:
    """All lines, and the city's own."""

    types: list[Line]
    departments: list[Line]
    city: Line
    grades: list[tuple[str, int]]
    uses: int
    files: int
    reasons: list[tuple[str, str, int]]
    inhabitants: int = 0

    @property
    def per_thousand(self) -> float | None:
        """Licences in force for each thousand inhabitants; None where nobody was counted."""
        return 1000 * self.city.held / self.inhabitants if self.inhabitants else None


def _sum(name: str, title: str, lines: list[Line]) -> Line:
    numbers = [
        sum(getattr(line, n) for line in lines)
        for n in ("registered", "covered", "held", "whole", "passed")
    ]
    return Line(name, title, title, *numbers)


def figures(viewer: Actor) -> Figures:
    """The figures of the departments for which the viewer may see them: of the city, or his own."""
    viewer.require("licences.figures")
    scope = viewer.departments("licences.figures")
    slugs = (
        None
        if scope is None
        else set(Party.objects.filter(pk__in=scope).values_list("slug", flat=True))
    )
    names = dict(Party.objects.filter(kind=Party.DEPARTMENT).values_list("slug", "short"))
    counted: dict[str, dict[str, Any]] = {
        str(row["kind"]): dict(row)
        for row in Licence.objects.filter(ending="")
        .values("kind")
        .annotate(
            held=Count("pk"),
            covered=Count("pk", filter=~Q(source="")),
            whole=Count("pk", filter=Q(whole=True)),
            passed=Count("pk", filter=Q(faults=[])),
        )
    }
    lines = []
    for kind in kinds.kinds().values():
        if slugs is not None and kind.issuer not in slugs:
            continue
        row = counted.get(kind.name, {})
        rows = registers.count(kind)
        lines.append(
            Line(
                kind.name,
                kind.title,
                names.get(kind.issuer, kind.issuer),
                rows,
                min(row.get("covered", 0), rows),
                row.get("held", 0),
                row.get("whole", 0),
                row.get("passed", 0),
            )
        )
    departments = [
        _sum(name, name, [line for line in lines if line.department == name])
        for name in dict.fromkeys(line.department for line in lines)
    ]
    shown = {line.name for line in lines}
    grades = dict(
        Licence.objects.filter(ending="", kind__in=shown)
        .values_list("trust")
        .annotate(n=Count("pk"))
    )
    reasons = []
    for line in lines:
        run = Run.objects.filter(kind=line.name).exclude(ended_at=None).order_by("-id").first()
        if run is not None:
            reasons += [(line.title, text, n) for text, n in run.reasons.items()]
    city = str(packs.mapping("core", "city.yaml").get("name", "全市"))
    return Figures(
        lines,
        departments,
        _sum("city", city if slugs is None else "本部门", lines),
        [(grade, grades.get(grade, 0)) for grade in "ABCD"],
        Showing.objects.filter(licence__kind__in=shown).exclude(seen_at=None).count(),
        Document.objects.filter(licence__kind__in=shown).count(),
        sorted(reasons, key=lambda r: -r[2])[:12],
        registers.inhabitants() if slugs is None else 0,
    )


__all__ = ["Figures", "Line", "figures"]
