"""Terms: a step's day as an officer sets it, where the law says 限期 or a department promises."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.clock import calendar
from lianyun.kernel.models import Case, Grant, WorkItem


def waiting(case: Case, step: str) -> WorkItem | None:
    """The open work item of a step, if the case stands there."""
    return (
        case.items.filter(step=step, done_at=None)
        .select_related("case__path", "department")
        .order_by("-id")
        .first()
    )


def open_about(
    grant: Grant, path: str, title: str, data: dict[str, Any], by: Actor, once: str | None = None
) -> Case:
    """A case between the two departments of a grant; `data` stand beside what it is about."""
    about = {"grant": grant.code, "resource": grant.resource.name if grant.resource else ""}
    return cases.open_case(
        path,
        title=title,
        subject=grant,
        applicant=grant.grantee,
        department=grant.grantor,
        data={**about, **data},
        once=once,
        by=by,
    )


def set_term(item: WorkItem, days: int, *, most: int, article: str, reason: str, by: Actor) -> None:
    """Make a step due `days` working days from today instead of the declared number.

    The change is on record as an extension (a negative one where the term is shorter). Raises
    UserError outside 1 to `most`.
    """
    if not 1 <= days <= most:
        raise UserError(f"期限应在 1 至 {most} 个工作日之间")
    if item.due_on is None:
        raise UserError("该环节没有期限")
    wanted, _ = calendar().deadline(timezone.localdate(), days)
    by_days = days - (item.declared.days or 0)
    if wanted != item.due_on and by_days:
        cases.extend(item, by_days, article=article, reason=reason, by=by)
