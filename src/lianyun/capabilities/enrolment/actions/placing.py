"""Placing: wishes put in order, places confirmed or given up, registrations withdrawn, cases closed."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event

from ..models import Registration, Round
from ..queries import own, rounds
from ..rules import calendar
from .registering import guarded, locked

MOST = 500
"""So many cases are closed in one run of the job."""


@action(None)
def choose(row: Registration, schools: Sequence[int], *, together: bool = False, by: Actor) -> None:
    """Put the wishes in order, first wish first; may be changed until the days of choosing are over.

    `together`: brothers and sisters in the same round get the same wishes and are placed as one.
    Raises UserError (not the days, a school twice or not open to the child, too many).
    """
    guarded(row, by)
    held = locked(row)
    found = held.round
    scheme, step = rounds.scheme_of(found), rounds.phase(by, found)
    end = calendar.until(calendar.CHOOSE, found.turn, found.moments)
    if step != calendar.CHOOSE or end is None or rounds.now() >= end:
        raise UserError("现在不在填报志愿的时间内")
    if held.out_at is not None or held.rank is None:
        raise UserError("这份登记已经退出，不能填报志愿")
    if held.school_id is not None:
        raise UserError("已经录取过，不再参加补录")
    wanted = list(schools)
    if len(set(wanted)) < len(wanted):
        raise UserError("同一所学校只能填一次")
    if len(wanted) > scheme.wishes:
        raise UserError(f"最多填 {scheme.wishes} 个志愿")
    rows = [held]
    if together:
        if not scheme.together:
            raise UserError("这一轮不能与兄弟姐妹一同派位")
        rows += [locked(other) for other in own.siblings(by, held) if other.school_id is None]
        if len(rows) == 1:
            raise UserError("您在这一轮只登记了一个孩子")
    for one in rows:
        may = {school.pk for school, _, _ in own.choosable(by, one)}
        if strange := set(wanted) - may:
            names = "、".join(s.name for s in found.schools.filter(pk__in=strange)) or "所选学校"
            raise UserError(f"{one.child.name}不能填报{names}")
        one.wishes, one.together = wanted, together
        one.save(update_fields=["wishes", "together"])
    if not together:  # brothers and sisters who were bound to this one stand alone again
        bound = [s.pk for s in own.siblings(by, held) if s.together]
        if len(bound) == 1:
            Registration.objects.filter(pk__in=bound).update(together=False)
    record("enrolment.chosen", held, by=by, case=held.case, data={"wishes": len(wanted)})


def _offered(row: Registration, by: Actor) -> Registration:
    """The held row of who has a place to confirm now; raises UserError."""
    guarded(row, by)
    held = locked(row)
    end = calendar.until(calendar.CONFIRM, held.round.turn, held.round.moments)
    if held.school is None or held.out_at is not None:
        raise UserError("没有可以确认的学位")
    if held.declined_at is not None:
        raise UserError("这个学位已经放弃")
    if rounds.phase(by, held.round) != calendar.CONFIRM or end is None or rounds.now() >= end:
        raise UserError("现在不在确认入学的时间内")
    return held


@action(None)
def confirm(row: Registration, *, by: Actor) -> None:
    """Take the place; a second press changes nothing."""
    held = _offered(row, by)
    if held.confirmed_at is None:
        held.confirmed_at = timezone.now()
        held.save(update_fields=["confirmed_at"])
    record("enrolment.confirmed", held, by=by, case=held.case, data={"school": str(held.school)})


@action(None)
def decline(row: Registration, *, by: Actor) -> None:
    """Give the place up: it goes to who waits for it."""
    held = _offered(row, by)
    held.declined_at, held.confirmed_at = timezone.now(), None
    held.save(update_fields=["declined_at", "confirmed_at"])
    record("enrolment.declined", held, by=by, case=held.case, data={"school": str(held.school)})


def on_application_closed(event: Event) -> None:
    """A case that was withdrawn takes its child out of the round."""
    row = Registration.objects.filter(case_id=event.case_id_ref or 0, out_at=None).first()
    if row is not None and event.data.get("outcome") in ("withdrawn", "not_accepted"):
        note_withdrawal(row, why="撤回登记", by=SYSTEM)


@action(None)
def note_withdrawal(row: Registration, *, why: str, by: Actor) -> None:
    """A child is out of its round; a place that it had is free."""
    held = locked(row)
    if held.out_at is None:
        held.out_at, held.out_why = timezone.now(), why[:200]
        held.save(update_fields=["out_at", "out_why"])
    record("enrolment.left", held, by=by, case=held.case, data={"why": held.out_why})


@action(None)
def settle_round(found: Round, *, by: Actor) -> int:
    """Close the hall's cases of a round that is over, so many at a time; returns how many are left.

    A case hears its result once (`once`), so that a run that died is simply run again.
    """
    waiting = (
        rounds.entered(by, found)
        .exclude(case=None)
        .exclude(case__state=Case.CLOSED)
        .select_related("case")
        .order_by("pk")
    )
    rows = list(waiting[:MOST])
    for row in rows:
        got = row.confirmed_at is not None and row.declined_at is None
        assert row.case is not None
        cases.receive(
            row.case,
            "enrolment_result",
            once=f"{row.ref}:end",
            outcome="placed" if got else "unplaced",
            by=SYSTEM,
        )
    remaining = waiting.count()
    if not remaining and found.settled_at is None:
        Round.objects.filter(pk=found.pk).update(settled_at=timezone.now())
    told = {"closed": len(rows), "left": remaining}
    record("enrolment.settled", found, by=by, case=found.case, data=told)
    return remaining


__all__ = [
    "choose",
    "confirm",
    "decline",
    "note_withdrawal",
    "on_application_closed",
    "settle_round",
]
