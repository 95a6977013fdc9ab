"""Matters: the cases of a share's later life: misuse, disposal, stop, dispute, need, return flow."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Min, Q, QuerySet

from lianyun.kernel.access import Actor
from lianyun.kernel.models import Case, Grant, Party, Resource

from .cases import MATTERS, _all


def matters(viewer: Actor, kinds: Sequence[str] = MATTERS) -> QuerySet[Case]:
    """Cases that the viewer's department is a side of (all for the bureau), with the next due day."""
    viewer.require("sharing.read")
    rows = Case.objects.filter(path__key__in=kinds).select_related(
        "path", "applicant", "department"
    )
    if not _all(viewer):
        scope = viewer.departments("sharing.read") or frozenset()
        rows = rows.filter(Q(applicant_id__in=scope) | Q(department_id__in=scope))
    return rows.annotate(
        due=Min("items__due_on", filter=Q(items__done_at=None)),
    )


def matter(viewer: Actor, code: str) -> Case | None:
    """One of them, if the viewer may see it."""
    return matters(viewer).filter(code=code).first()


def grant_behind(viewer: Actor, case: Case) -> Grant | None:
    """The grant a matter is about, if it is about one."""
    return (
        Grant.objects.select_related("resource", "grantee", "grantor")
        .filter(code=case.data.get("grant", ""))
        .first()
    )


def about_grant(viewer: Actor, grant: Grant) -> list[Case]:
    """Every matter about a grant, newest first."""
    return list(Case.objects.filter(subject=grant.ref, path__key__in=MATTERS).order_by("-id"))


def departments(viewer: Actor) -> list[Party]:
    """All departments by name, for a choice."""
    return list(Party.objects.filter(kind=Party.DEPARTMENT, active=True).order_by("pk"))


def published_of(viewer: Actor, department: Party) -> list[Resource]:
    """A department's published data, by code."""
    rows = Resource.objects.filter(owner=department, state=Resource.PUBLISHED)
    return list(rows.filter(kind__in=[Resource.DATASET, Resource.LIBRARY]).order_by("code"))


def outcome_title(case: Case) -> str:
    """How a closed case ended, in the words of the outcome that ended it."""
    last = case.items.exclude(done_at=None).order_by("-done_at", "-id").first()
    if last is None or case.state != Case.CLOSED:
        return ""
    try:
        return last.declared.outcome(last.outcome).title
    except KeyError:
        return last.outcome
