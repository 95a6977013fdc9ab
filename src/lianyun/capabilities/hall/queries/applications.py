"""Applications: one's own, those of whom one acts for, those that a clerk helps with, a department's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Case, Event, Party, WorkItem
from lianyun.kernel.path import path_of
from lianyun.kernel.rows import together

from ..models import Application, MaterialState
from ..rules import stages

FOLLOW, APPLY = "follow", "apply"
HELP = "hall.help"
_WITH = ("applicant", "by", "department", "case__path")


def principals(viewer: Actor, scope: str = FOLLOW) -> list[Party]:
    """The viewer and those for whom the viewer may apply (or follow) today."""
    if viewer.party is None:
        return []
    out = [viewer.party]
    for agency in identity.agencies(viewer.party):
        if agency.principal not in out and identity.may_act(viewer.party, agency.principal, scope):
            out.append(agency.principal)
    return out


def reaches(viewer: Actor, application: Application, scope: str = FOLLOW) -> bool:
    """Whether the viewer may follow (or, with `apply`, go on with) an application today."""
    if viewer.party is None:
        return False
    if viewer.party.pk == application.applicant_id:
        return True
    helps = application.relation == stages.HELPER and application.by_id == viewer.party.pk
    if helps and viewer.may(HELP):
        return True
    return identity.may_act(viewer.party, application.applicant, scope)


def mine(viewer: Actor) -> models.QuerySet[Application]:
    """Applications in the viewer's space, newest first: one's own, or those of the firm acted for.

    A bundle's are there once they are filed; before, the bundle shows them.
    """
    if viewer.party is None:
        return Application.objects.none()
    if viewer.behalf is not None:
        whose = models.Q(applicant=viewer.behalf) & models.Q(applicant__in=principals(viewer))
    else:
        whose = models.Q(applicant=viewer.party)
        if viewer.may(HELP):
            whose |= models.Q(by=viewer.party, relation=stages.HELPER)
    rows = Application.objects.filter(whose).exclude(case=None, bundle__gt="")
    return rows.select_related(*_WITH).order_by("-id")


def one(viewer: Actor, code: str, *, scope: str = FOLLOW) -> Application | None:
    """One application that the viewer may follow (or, with scope `apply`, go on with).

    None alike for another's and for one that does not exist: codes cannot be tried out.
    """
    rows = together(
        ((Application, "a"), (Party, "p"), (Party, "b"), (Party, "d"), (Case, "c")),
        "FROM hall_application a JOIN kernel_party p ON p.id = a.applicant_id"
        " JOIN kernel_party b ON b.id = a.by_id JOIN kernel_party d ON d.id = a.department_id"
        " LEFT JOIN kernel_case c ON c.id = a.case_id WHERE a.code = %s",
        [code],
    )
    if not rows:
        return None
    found: Application = rows[0][0]
    found.applicant, found.by, found.department, found.case = rows[0][1:]
    if found.case is not None:
        found.case.path = path_of(found.case.path_id)
    return found if reaches(viewer, found, scope) else None


def only_helps(viewer: Actor, application: Application) -> bool:
    """Whether the viewer is but the clerk who helped: what was filed is not the clerk's to read."""
    return application.applicant not in principals(viewer)


def of_case(viewer: Actor, case: Case) -> Application | None:
    """The application behind a case, for officers of its department (and those it was passed to)."""
    found = Application.objects.filter(case=case).select_related(*_WITH).first()
    if found is None:
        return None
    desks = WorkItem.objects.filter(case=case).select_related("department")
    if not any(
        viewer.may("hall.read", d) for d in {found.department, *(w.department for w in desks)} if d
    ):
        viewer.require("hall.read", found.department)
    return found


def by_case_code(viewer: Actor, code: str) -> Application | None:
    """The application behind a case's code, for officers; None where the viewer may not read it."""
    case = Case.objects.filter(code=code).first()
    try:
        return of_case(viewer, case) if case is not None else None
    except Denied:
        return None


def filed(
    viewer: Actor,
    *,
    item: str = "",
    since: dt.date | None = None,
    applicant: Party | None = None,
) -> models.QuerySet[Application]:
    """Filed applications of the departments for which the viewer may read them, newest first."""
    viewer.require("hall.read")
    rows = Application.objects.exclude(case=None).select_related(*_WITH).order_by("-id")
    scope = viewer.departments("hall.read")
    if scope is not None:
        rows = rows.filter(department_id__in=scope)
    if item:
        rows = rows.filter(item=item)
    if since is not None:
        rows = rows.filter(filed_at__date__gte=since)
    if applicant is not None:
        rows = rows.filter(applicant=applicant)
    return rows


def of_bundle(viewer: Actor, bundle: str) -> models.QuerySet[Application]:
    """The applications of a bundle by its ref; who may see the bundle is its own affair."""
    return Application.objects.filter(bundle=bundle).select_related(*_WITH).order_by("id")


def states(viewer: Actor, application: Application) -> list[MaterialState]:
    """An application's materials in the item's order; the viewer was checked for the application."""
    return list(application.materials.all())


def waiting(viewer: Actor, applications: Sequence[Application]) -> dict[int, WorkItem]:
    """The applicants' own open work items (补正) by case id."""
    cases = [a.case_id for a in applications if a.case_id]
    rows = WorkItem.objects.filter(
        case_id__in=cases, done_at=None, permission="hall.supplement", case__state="open"
    )
    return {w.case_id: w for w in rows}


@dataclass(frozen=True)
class Line:
    """One application as lists show it."""

    application: Application
    standing: str
    words: str
    tone: str
    due_on: dt.date | None
    todo: str
    news: bool

    @property
    def open(self) -> bool:
        """Filed and not yet ended."""
        return self.application.filed and self.standing in ("handling", "supplement", "suspended")


def lines(viewer: Actor, applications: Sequence[Application]) -> list[Line]:
    """Applications with their standing, due day and to-do; two queries for all of them."""
    mine = waiting(viewer, applications)
    latest = dict(
        Event.objects.filter(case_id_ref__in=[a.case_id for a in applications if a.case_id])
        .values_list("case_id_ref")
        .annotate(models.Max("at"))
    )
    out = []
    for a in applications:
        case, item = a.case, mine.get(a.case_id or 0)
        key, words, tone = stages.standing(
            filed=a.filed,
            state=case.state if case else "",
            outcome=case.outcome if case else "",
            waits=item is not None,
        )
        todo = ""
        if not a.filed:
            todo = "继续填写"
        elif item is not None:
            todo = "补正材料"
        last = latest.get(a.case_id)
        news = bool(last and (a.seen_at is None or last > a.seen_at) and a.filed)
        due = a.due_on if key == "handling" else (item.due_on if item else None)
        out.append(Line(a, key, words, tone, due, todo, news))
    return out


def confirm_code(viewer: Actor, application: Application) -> str:
    """The digits that the applicant reads to the clerk; only the applicant may see them."""
    if viewer.party is None or viewer.party.pk != application.applicant_id:
        return ""
    return code_for(viewer, application)


def code_for(viewer: Actor, application: Application) -> str:
    """The digits that confirm an application, made of its code by the installation's key.

    Of a bundle they are made of all that wait: what is added later wants digits of its own.
    """
    told = "+".join(a.code for a in asked_with(viewer, application))
    return stages.code_of(audit.keyed_hash(f"hall-confirm:{told}"))


def asked_with(viewer: Actor, application: Application) -> list[Application]:
    """The application and those of its bundle that wait for the same word; the viewer was checked."""
    if not application.bundle:
        return [application]
    rows = Application.objects.filter(
        bundle=application.bundle,
        applicant=application.applicant_id,
        relation=stages.HELPER,
        confirmed_at=None,
    )
    return list(rows.order_by("pk")) or [application]


def to_confirm(viewer: Actor) -> list[tuple[Application, str]]:
    """What a clerk began for the viewer and waits for the viewer's word, with its name in words.

    Of a bundle the first stands for all.
    """
    if viewer.party is None:
        return []
    rows = (
        Application.objects.filter(
            applicant=viewer.party, relation=stages.HELPER, confirmed_at=None, case=None
        )
        .exclude(wrong_codes__gte=stages.CODE_TRIES)
        .select_related(*_WITH)
        .order_by("pk")[:60]
    )
    groups: dict[str, list[Application]] = {}
    for row in rows:
        groups.setdefault(row.bundle or row.code, []).append(row)
    return [
        (g[0], g[0].item_name if len(g) == 1 else f"{g[0].item_name}等 {len(g)} 个事项")
        for g in groups.values()
    ]


def item_of(viewer: Actor, application: Application) -> Any:
    """The item as it stood when the application was begun; a draft's may have been withdrawn since."""
    return items.find(application.item, application.item_version)


def drafts_due(viewer: Actor, days: int) -> models.QuerySet[Application]:
    """Applications that were begun so many days ago and never filed (nor handed over to wait)."""
    limit = timezone.now() - dt.timedelta(days=days)
    return Application.objects.filter(case=None, ready_at=None, begun_at__lt=limit)


__all__ = [
    "APPLY",
    "FOLLOW",
    "HELP",
    "Line",
    "asked_with",
    "by_case_code",
    "code_for",
    "confirm_code",
    "drafts_due",
    "filed",
    "item_of",
    "lines",
    "mine",
    "of_bundle",
    "of_case",
    "one",
    "only_helps",
    "principals",
    "reaches",
    "states",
    "to_confirm",
    "waiting",
]
