"""Urging: the applicant asks the desks to go on with what waits for them, once a day."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.models import Case, Event

from ..models import Application
from ..queries import applications
from .beginning import locked

WORDS = "申请人请求尽快办理"


@action(None)
def urge(application: Application, *, note: str = "", by: Actor) -> int:
    """Ask the desks at which a case waits to go on with it; returns how many were asked.

    Raises UserError where it waits for nobody but the applicant, or was urged today already.
    """
    if not applications.reaches(by, application, applications.FOLLOW):
        raise Denied("没有这份申请")
    row = locked(application)
    if row.case is None or row.case.state == Case.CLOSED:
        raise UserError("这个办件没有在办理")
    waiting = row.case.items.filter(done_at=None).exclude(permission__startswith="hall.")
    items = list(waiting.exclude(permission=""))
    if not items:
        raise UserError("这个办件在等您补正，不需要催办")
    today = timezone.make_aware(dt.datetime.combine(timezone.localdate(), dt.time()))
    before = Event.objects.filter(case_id_ref=row.case_id, kind="case.urged", at__gte=today)
    if before.filter(by=by.ref).exists():
        raise UserError("今天已经催办过，办理部门已经收到")
    for item in items:
        cases.urge(item, note.strip()[:200] or WORDS, by=by)
    return len(items)


__all__ = ["urge"]
