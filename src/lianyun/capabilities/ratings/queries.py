"""Queries: what a person may rate, what a department has to work on, scores by item and department."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.desk import api as desk
from lianyun.capabilities.identity import api as identity
from lianyun.kernel import packs
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.event import timeline
from lianyun.kernel.models import Case, Event, Party, WorkItem

from . import rules
from .models import CallBack, Rating, Visit

SCOPE = "apply"
FEW = 5
"""Fewer ratings than this are not published: they would point at single persons."""


def settings() -> dict[str, Any]:
    """Words, limits and their sources as packs/core/ratings.yaml declares them."""
    return packs.mapping("core", "ratings.yaml")


def hash_of(code: str) -> str:
    """What is kept of a visit's code."""
    return audit.keyed_hash(f"rating-visit:{code.strip().upper()}")


def may_rate(viewer: Actor, case: Case) -> bool:
    """Whether the viewer is the applicant of a case, or may apply for the applicant."""
    return case.applicant is not None and identity.may_act(viewer, case.applicant, SCOPE)


def _own(viewer: Actor) -> models.QuerySet[Case]:
    if viewer.party is None:
        return Case.objects.none()
    parties = {viewer.party.pk} | {
        a.principal_id
        for a in identity.agencies(viewer.party)
        if identity.may_act(viewer.party, a.principal, SCOPE)
    }
    return (
        Case.objects.filter(applicant__in=parties, subject__startswith=desk.SUBJECT)
        .filter(state=Case.CLOSED)
        .exclude(outcome="withdrawn")
        .select_related("department", "applicant", "rating", "rating__rework")
        .order_by("-closed_at")
    )


def to_rate(viewer: Actor) -> list[Case]:
    """Closed matters of the viewer, and of those the viewer acts for, that nobody has rated."""
    return list(_own(viewer).filter(rating=None)[:50])


def given(viewer: Actor) -> list[Rating]:
    """What the viewer, or whoever the viewer acts for, has said, newest first."""
    return [c.rating for c in _own(viewer).exclude(rating=None)[:50]]


def own_case(viewer: Actor, code: str) -> Case:
    """A matter that the viewer may rate; raises Denied, alike for others' and unknown ones."""
    found = _own(viewer).filter(code=code).first()
    if found is None:
        raise Denied("只有申请人（或其代理人）可以在办结后评价")
    return found


def visit_of(viewer: Actor, code: str) -> Visit | None:
    """The visit behind a code that is still good and not yet rated."""
    return (
        Visit.objects.filter(code_hash=hash_of(code), rating=None, expires_at__gt=timezone.now())
        .select_related("department")
        .first()
    )


def ratings(viewer: Actor) -> models.QuerySet[Rating]:
    """Ratings of the departments for which the viewer may read them, newest first."""
    viewer.require("ratings.read")
    rows = Rating.objects.select_related("department", "rework", "case").order_by("-id")
    scope = viewer.departments("ratings.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def rating_of(viewer: Actor, number: int) -> Rating:
    """One rating; raises Denied."""
    found = ratings(viewer).filter(pk=number).first()
    if found is None:
        raise Denied("没有这条评价，或者它不属于您所在的部门")
    return found


def rating_behind(viewer: Actor, code: str) -> Rating:
    """The rating on which a rework works; raises Denied."""
    found = ratings(viewer).filter(rework__code=code).first()
    if found is None:
        raise Denied("没有这件差评整改，或者它不属于您所在的部门")
    return found


def step_of(viewer: Actor, rating: Rating) -> WorkItem | None:
    """The step of a rework that the viewer may do now."""
    if rating.rework is None:
        return None
    row = (
        rating.rework.items.filter(done_at=None).select_related("case__path", "department").first()
    )
    return row if row is not None and viewer.may(row.permission, row.department) else None


def calls(viewer: Actor, rating: Rating) -> list[CallBack]:
    """The call-backs on a rating, oldest first."""
    viewer.require("ratings.read", rating.department)
    return list(rating.calls.select_related("by"))


def events(viewer: Actor, rating: Rating) -> list[Event]:
    """What became of a rating, newest first."""
    viewer.require("ratings.read", rating.department)
    if rating.rework is None:
        return list(timeline(rating).order_by("-id")[:30])
    found = [*timeline(rating), *timeline(rating.rework)]
    return sorted(found, key=lambda e: -e.pk)[:40]


# ---- scores --------------------------------------------------------------------------------


@dataclass
class Score:
    """How a department or an item stands: how many ratings of which level, reworks, their ends."""

    name: str
    counts: Counter[int] = field(default_factory=Counter)
    reworks: int = 0
    closed: int = 0
    in_time: int = 0

    @property
    def total(self) -> int:
        """Ratings that count."""
        return sum(self.counts.values())

    @property
    def bad(self) -> int:
        """Levels 4 and 5."""
        return sum(self.counts[k] for k in rules.BAD)

    @property
    def satisfaction(self) -> float | None:
        """Share of 基本满意 and better, 0–1."""
        return rules.satisfaction(self.counts)

    @property
    def in_time_words(self) -> str:
        """How many reworks ended within their days."""
        return f"{self.in_time} 件"

    @property
    def score(self) -> float | None:
        """Out of 100."""
        return rules.score(self.counts)


def _counted(rows: models.QuerySet[Rating], key: str) -> dict[Any, Score]:
    out: dict[Any, Score] = {}
    told = rows.filter(void=False).order_by().values(key, "level").annotate(n=models.Count("pk"))
    for row in told:
        score = out.setdefault(row[key], Score(str(row[key])))
        score.counts[row["level"]] += row["n"]
    return out


def by_department(viewer: Actor) -> list[Score]:
    """Scores of the viewer's departments, the best first."""
    return _departments(ratings(viewer))


def _departments(rows: models.QuerySet[Rating]) -> list[Score]:
    found = _counted(rows, "department_id")
    names = dict(Party.objects.filter(pk__in=found).values_list("pk", "short"))
    for key, one in found.items():
        one.name = names[key]
    return sorted(found.values(), key=lambda s: (-(s.satisfaction or 0), -s.total, s.name))


def by_item(viewer: Actor, most: int = 50) -> list[Score]:
    """Scores by item, the worst first, at most so many; each bears the item's name as `name`."""
    found = _counted(ratings(viewer).exclude(item=""), "item")
    out = sorted(found.values(), key=lambda s: (s.satisfaction or 0, -s.total, s.name))[:most]
    for one in out:
        one.name = desk.item_title(one.name)
    return out


def of_item(viewer: Actor, code: str) -> Score | None:
    """The score of one item; None where nobody has rated it."""
    return _counted(ratings(viewer).filter(item=code), "item").get(code)


def by_window(viewer: Actor) -> list[Score]:
    """Scores by window, the worst first."""
    found = _counted(ratings(viewer).exclude(window=""), "window")
    return sorted(found.values(), key=lambda s: (s.satisfaction or 0, -s.total, s.name))


def whole(viewer: Actor) -> Score:
    """All that the viewer may read together, with how the reworks stand."""
    rows = ratings(viewer)
    out = Score("合计")
    for one in _counted(rows, "department_id").values():
        out.counts.update(one.counts)
    bad = rows.exclude(rework=None)
    out.reworks = bad.count()
    ended = bad.filter(rework__state=Case.CLOSED)
    out.closed = ended.count()
    late = WorkItem.objects.filter(
        case__reworks__in=ended, due_on__lt=models.functions.TruncDate("done_at")
    )
    out.in_time = out.closed - late.values("case").distinct().count()
    return out


def published(viewer: Actor) -> list[Score]:
    """What everybody may see: departments with enough ratings."""
    del viewer  # public by 国办发〔2019〕51号
    return [s for s in _departments(Rating.objects.all()) if s.total >= FEW]
