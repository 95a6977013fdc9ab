"""Yearly: what each department gave, received, answered in time, refused and corrected in a year."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Grant, Party, WorkItem

from .. import rules
from ..models import DayOfUse

ANSWERING = (*rules.ANSWER_STEPS, "deliver")
CORRECTION = "correction"

FIGURES: dict[str, tuple[str, str]] = {
    "provided": ("提供授权", "本年签发、由本部门提供数据的授权数"),
    "received": ("获得授权", "本年签发、由本部门使用的授权数"),
    "asked": ("提出申请", "本年提出的共享申请件数（申请部门）"),
    "asked_of": ("收到申请", "本年收到的共享申请件数（提供部门）"),
    "answered": ("答复和提供环节", "本年办结的、有法定时限的答复、审定和提供环节数"),
    "on_time": ("其中按时", "其中在到期日当天或之前办结的环节数"),
    "refused": ("不同意共享", "本年以不同意共享办结的申请件数，均附理由"),
    "corrections": ("收到校核", "本年收到的校核件数（提供部门）"),
    "corrected": ("其中已更正", "其中以“已更正”办结的件数"),
    "misuse": ("超范围使用", "本年立案、涉及本部门使用的超范围使用件数"),
    "disposed": ("数据处置", "本年经提供部门确认处置妥当的件数（使用部门）"),
}
"""What the yearly report counts: title and definition; each number is the length of a list."""


@dataclass
class Year:
    """One department's year."""

    department: Party
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIGURES, 0))
    calls_given: int = 0
    rows_given: int = 0
    calls_made: int = 0
    rows_got: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float | None:
        """The part of the answering steps that was in time; None where there was none."""
        done = self.counts["answered"]
        return self.counts["on_time"] / done if done else None

    @property
    def active(self) -> bool:
        """Whether anything at all is to be told of this department."""
        return bool(any(self.counts.values()) or self.calls_given or self.calls_made)


def _bounds(year: int) -> tuple[dt.datetime, dt.datetime]:
    first, last = (dt.datetime.combine(dt.date(y, 1, 1), dt.time()) for y in (year, year + 1))
    return timezone.make_aware(first), timezone.make_aware(last)


def behind(what: str, year: int) -> tuple[QuerySet[Any], str]:
    """The rows that a figure counts in a year, and the field that names the department."""
    since, until = _bounds(year)
    opened = {"opened_at__gte": since, "opened_at__lt": until}
    closed = {"closed_at__gte": since, "closed_at__lt": until}
    requests = Case.objects.filter(path__key="share_request")
    grants = Grant.objects.filter(kind="data", issued_at__gte=since, issued_at__lt=until)
    steps = (
        WorkItem.objects.filter(case__path__key="share_request", step__in=ANSWERING)
        .filter(done_at__gte=since, done_at__lt=until)
        .exclude(due_on=None)
    )
    made: dict[str, Callable[[], tuple[QuerySet[Any], str]]] = {
        "provided": lambda: (grants, "grantor"),
        "received": lambda: (grants, "grantee"),
        "asked": lambda: (requests.filter(**opened), "applicant"),
        "asked_of": lambda: (requests.filter(**opened), "department"),
        "answered": lambda: (steps, "department"),
        "on_time": lambda: (
            steps.annotate(on=TruncDate("done_at")).filter(on__lte=F("due_on")),
            "department",
        ),
        "refused": lambda: (requests.filter(outcome="refused", **closed), "department"),
        "corrections": lambda: (
            Case.objects.filter(path__key=CORRECTION, **opened),
            "department",
        ),
        "corrected": lambda: (
            Case.objects.filter(path__key=CORRECTION, outcome="corrected", **opened),
            "department",
        ),
        "misuse": lambda: (Case.objects.filter(path__key="misuse", **opened), "applicant"),
        "disposed": lambda: (
            Case.objects.filter(path__key="disposal", outcome="disposed", **closed),
            "applicant",
        ),
    }
    return made[what]()


def _scope(viewer: Actor) -> frozenset[int] | None:
    viewer.require("sharing.read")
    return None if viewer.may("sharing.supervise") else viewer.departments("sharing.read")


def yearly(viewer: Actor, year: int) -> list[Year]:
    """Every department's year (of a department's officer: the own one), the most active first."""
    scope = _scope(viewer)
    parties = Party.objects.filter(kind=Party.DEPARTMENT)
    if scope is not None:
        parties = parties.filter(pk__in=scope)
    out = {p.pk: Year(p) for p in parties}
    for what in FIGURES:
        rows, side = behind(what, year)
        for pk, n in rows.order_by().values_list(side).annotate(n=Count("pk")):
            if pk in out:
                out[pk].counts[what] = n
    _use(out, year)
    refused, side = behind("refused", year)
    for pk, code in refused.values_list(side, "code"):
        if pk in out:
            out[pk].reasons.append(f"{code}：{_reason_of(code)}")
    found = [y for y in out.values() if y.active]
    return sorted(found, key=lambda y: (-y.calls_given, -y.counts["provided"], y.department.pk))


def _reason_of(code: str) -> str:
    last = (
        WorkItem.objects.filter(case__code=code, outcome="refuse").exclude(note="").order_by("id")
    )
    first = last.first()
    return first.note[:200] if first else "—"


def _use(out: dict[int, Year], year: int) -> None:
    days = DayOfUse.objects.filter(day__year=year).order_by().values("grant_code")
    used = {d["grant_code"]: d for d in days.annotate(n=Sum("calls"), r=Sum("rows"))}
    grants = Grant.objects.filter(code__in=list(used)).values_list("code", "grantor", "grantee")
    for code, grantor, grantee in grants:
        calls, rows = used[code]["n"] or 0, used[code]["r"] or 0
        if grantor in out:
            out[grantor].calls_given += calls
            out[grantor].rows_given += rows
        if grantee in out:
            out[grantee].calls_made += calls
            out[grantee].rows_got += rows


def behind_figure(viewer: Actor, what: str, year: int, slug: str) -> list[Any]:
    """The cases, grants or steps that one number of the yearly report counts."""
    scope = _scope(viewer)
    department = Party.objects.filter(kind=Party.DEPARTMENT, slug=slug).first()
    if department is None or what not in FIGURES:
        return []
    if scope is not None and department.pk not in scope:
        return []
    rows, side = behind(what, year)
    return list(rows.filter(**{side: department}).order_by("-id"))


@dataclass(frozen=True)
class Rank:
    """How a provider stands: how often it was wrong, in time, and how much it is used."""

    department: Party
    reports: int
    wrong: int
    rows: int
    timed: int
    on_time: int
    users: int
    datasets: int

    @property
    def name(self) -> str:
        """Its short name."""
        return str(self.department)

    @property
    def errors(self) -> float | None:
        """Cells found wrong for every ten thousand rows given; None where no rows were given."""
        return self.wrong * 10_000 / self.rows if self.rows else None

    @property
    def punctuality(self) -> float | None:
        """The part of its timed steps done in time; None where none is due yet."""
        return self.on_time / self.timed if self.timed else None

    @property
    def reuse(self) -> float | None:
        """Departments that hold a grant, for each dataset that is shared at all."""
        return self.users / self.datasets if self.datasets else None


RANKED = {
    "errors": "错误率：经核实更正的校核件数 ÷ 对外提供的行数 × 10,000。",
    "punctuality": "及时率：按时办结的答复、提供和校核环节 ÷ 已办结和已逾期的全部环节。",
    "reuse": "复用度：有效授权的“数据—使用部门”对数 ÷ 有效授权涉及的数据数。",
}


def ranking(viewer: Actor) -> list[Rank]:
    """All providers that share or are reported to, the most punctual and most used first."""
    viewer.require("sharing.read")
    today, now = timezone.localdate(), timezone.now()
    cases = Case.objects.filter(path__key=CORRECTION).order_by().values_list("department")
    reports = dict(cases.annotate(n=Count("pk")))
    wrong = dict(cases.filter(outcome="corrected").annotate(n=Count("pk")))
    steps = WorkItem.objects.filter(
        Q(case__path__key="share_request", step__in=ANSWERING) | Q(case__path__key=CORRECTION)
    ).exclude(due_on=None)
    judged = steps.annotate(on=TruncDate("done_at")).filter(
        Q(done_at__isnull=False) | Q(due_on__lt=today, case__state=Case.OPEN)
    )
    by = judged.order_by().values_list("department")
    timed = dict(by.annotate(n=Count("pk")))
    kept = dict(by.filter(on__lte=F("due_on")).annotate(n=Count("pk")))
    live = (
        Grant.objects.filter(kind="data", state=Grant.ACTIVE)
        .filter(Q(valid_to=None) | Q(valid_to__gt=now))
        .exclude(grantor=None)
        .order_by()
        .values_list("grantor", "resource", "grantee")
        .distinct()
    )
    pairs: dict[int, int] = defaultdict(int)
    sets: dict[int, set[int | None]] = defaultdict(set)
    for grantor, resource, _ in live:
        pairs[grantor] += 1
        sets[grantor].add(resource)
    grants = dict(Grant.objects.filter(kind="data").values_list("code", "grantor"))
    rows: dict[int, int] = defaultdict(int)
    for code, n in DayOfUse.objects.values_list("grant_code").annotate(n=Sum("rows")):
        if (owner := grants.get(code)) is not None:
            rows[owner] += n or 0
    seen = {pk for pk in {*reports, *timed, *pairs, *rows} if pk is not None}
    parties = Party.objects.in_bulk(list(seen))
    out = [
        Rank(
            parties[pk],
            reports.get(pk, 0),
            wrong.get(pk, 0),
            rows.get(pk, 0),
            timed.get(pk, 0),
            kept.get(pk, 0),
            pairs.get(pk, 0),
            len(sets.get(pk, ())),
        )
        for pk in seen
    ]
    return sorted(
        out,
        key=lambda r: (-(r.punctuality or 0), r.errors or 0, -(r.reuse or 0), r.department.pk),
    )
