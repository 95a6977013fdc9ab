"""Parcels: what may be sent for an application, what became of it, what waits to be posted."""

from __future__ import annotations

from django.db import models

from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.items import api as items
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Case

from ..models import Parcel
from ..rules import parcels as rules

POST = "counters.post"
SCOPES = {rules.ORIGINALS: "apply", rules.RESULT: "receive"}


def application_of(viewer: Actor, code: str) -> hall.Application:
    """A filed application of the viewer's (or of whom the viewer acts for); raises Denied.

    Denied alike for another's and for one that does not exist.
    """
    found = (
        hall.Application.objects.filter(code=code)
        .exclude(case=None)
        .select_related("applicant", "case", "department")
        .first()
    )
    if found is None or not any(
        identity.may_act(viewer, found.applicant, scope) for scope in SCOPES.values()
    ):
        raise Denied("没有这份申请")
    return found


def ways(viewer: Actor, application: hall.Application) -> list[tuple[str, str]]:
    """The ways that an application's papers may still be sent by the viewer, with their words."""
    item = items.find(application.item, application.item_version)
    case = application.case
    if item is None or not item.courier or case is None or case.outcome == "withdrawn":
        return []
    chosen = set(Parcel.objects.filter(case=case, cancelled_at=None).values_list("way", flat=True))
    out = []
    for way, words in rules.WAYS.items():
        if way in chosen or (way == rules.ORIGINALS and case.state == Case.CLOSED):
            continue
        if identity.may_act(viewer, application.applicant, SCOPES[way]):
            out.append((way, words))
    return out


def of_application(viewer: Actor, application: hall.Application) -> list[Parcel]:
    """The parcels of an application that the viewer may follow."""
    del viewer  # application_of has judged
    rows = Parcel.objects.filter(application=application.code).select_related("hall", "case")
    return list(rows)


def posted(viewer: Actor) -> models.QuerySet[Parcel]:
    """Parcels of the departments for which the viewer posts."""
    viewer.require(POST)
    rows = Parcel.objects.select_related("case", "department", "hall").order_by("-id")
    scope = viewer.departments(POST)
    return rows if scope is None else rows.filter(department_id__in=scope)


def parcel_of(viewer: Actor, number: int) -> Parcel:
    """One of them; raises Denied."""
    found = posted(viewer).filter(pk=number).first()
    if found is None:
        raise Denied("没有这件寄送")
    return found


def under_way(viewer: Actor) -> models.QuerySet[Parcel]:
    """Parcels whose trail is still growing, or that the courier has not taken yet."""
    del viewer
    return Parcel.objects.filter(cancelled_at=None, delivered_at=None).exclude(
        sent_at=None, way=rules.RESULT
    )


__all__ = [
    "POST",
    "SCOPES",
    "application_of",
    "of_application",
    "parcel_of",
    "posted",
    "under_way",
    "ways",
]
