"""Desk: drafts that wait for a second officer."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from lianyun.capabilities.audit import api as audit
from lianyun.kernel.access import Actor, Denied
from lianyun.kernel.models import Case, WorkItem

from ..models import Licence

PATH = "licence_issue"


def draft(case: Case) -> dict[str, str]:
    """The elements that were drawn up in a case."""
    found: dict[str, str] = json.loads(audit.decrypt(case.data["sealed"], "licences.elements"))
    return found


def drafts(viewer: Actor) -> models.QuerySet[Case]:
    """Cases of the departments for which the viewer may read licences, newest first."""
    viewer.require("licences.read")
    rows = Case.objects.filter(path__key=PATH).select_related("department").order_by("-id")
    scope = viewer.departments("licences.read")
    return rows if scope is None else rows.filter(department_id__in=scope)


def one(viewer: Actor, code: str) -> tuple[Case, WorkItem | None, Licence | None]:
    """A case, its open work item if the viewer may do it, and the licence that came of it."""
    case = drafts(viewer).filter(code=code).first()
    if case is None:
        raise Denied("没有这个办件，或者它不属于您所在的部门")
    item = case.items.filter(done_at=None).first()
    may = item is not None and viewer.may(item.permission, item.department)
    own: Any = case.data.get("drawn_by") == viewer.ref
    made = Licence.objects.filter(grant__case=case).select_related("grant").first()
    return case, item if may and not own else None, made


__all__ = ["draft", "drafts", "one"]
