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
from .registering import guarded, hold_step, locked

MOST = 500
"""So many cases are closed in one run of the job."""


@action(None)
def choose(row: Registration, schools: Sequence[int], *, together: bool = False, by: Actor) -> None:
    """Put the wishes in order, first wish first; may be changed until the days of choosing are over.

    `together`: brothers and sisters in the same round get the same wishes and are placed as one.
    Raises UserError (not the days, a school twice or not open to the child, too many).
    """
    guarded(row, by)
    hold_step(row.round)
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


@action("enrolment.manage", department=lambda found, sheets, **_: found.department)
def choose_many(
    found: Round, sheets: Sequence[tuple[str, Sequence[str]]], *, seen: bool, by: Actor
) -> tuple[int, list[str]]:
    """Enter signed sheets of wishes of families that came in person: number, codes of schools in order.

    Returns how many, and which were not taken and why; a sheet may be sent again.
    """
    if not seen:
        raise UserError("请收存家长签字的志愿表")
    hold_step(found)
    scheme, step = rounds.scheme_of(found), rounds.phase(by, found)
    end = calendar.until(calendar.CHOOSE, found.turn, found.moments)
    if step != calendar.CHOOSE or end is None or rounds.now() >= end:
        raise UserError("现在不在填报志愿的时间内")
    rows = {r.number: r for r in rounds.entered(by, found).select_related("round")}
    schools = {s.code: s for s in found.schools.all()}
    left = rounds.left(by, found)
    done, refused = [], []
    for number, codes in sheets:
        row, problem = rows.get(number.strip().upper()), ""
        if row is None or row.rank is None:
            problem = "名单中没有这个编号"
        elif row.case_id is not None:
            problem = "在网上登记的由家长自己填报"
        elif row.school_id is not None:
            problem = "已经录取过，不再参加补录"
        elif unknown := [c for c in codes if c not in schools]:
            problem = f"没有学校 {'、'.join(unknown)}"
        elif len(set(codes)) < len(codes) or len(codes) > scheme.wishes:
            problem = f"志愿重复，或者多于 {scheme.wishes} 个"
        else:
            for school in (schools[c] for c in codes):
                outside = scheme.areas == "only" and school.towns
                if outside and not own.in_area(school, row.town):
                    problem = f"{school.name}只招施教区内的孩子"
                elif found.turn > 1 and not left.get(school.pk):
                    problem = f"{school.name}没有空余学位"
        if problem or row is None:
            refused.append(f"{number}：{problem}")
            continue
        row.wishes = [schools[c].pk for c in codes]
        done.append(row)
    Registration.objects.bulk_update(done, ["wishes"], batch_size=500)
    told = {"entered": len(done), "refused": len(refused)}
    record("enrolment.chosen_at_counter", found, by=by, case=found.case, data=told)
    return len(done), refused


@action("enrolment.manage", department=lambda found, numbers, **_: found.department)
def confirm_many(
    found: Round, numbers: Sequence[str], *, seen: bool, by: Actor
) -> tuple[int, list[str]]:
    """Confirm the places of families that came in person with the notice; once each."""
    if not seen:
        raise UserError("请当面核对身份证")
    hold_step(found)
    end = calendar.until(calendar.CONFIRM, found.turn, found.moments)
    if rounds.phase(by, found) != calendar.CONFIRM or end is None or rounds.now() >= end:
        raise UserError("现在不在确认入学的时间内")
    wanted = {n.strip().upper() for n in numbers if n.strip()}
    placed = rounds.entered(by, found).filter(
        number__in=wanted, case=None, school__isnull=False, declined_at=None
    )
    known = set(placed.values_list("number", flat=True))
    count = placed.filter(confirmed_at=None).update(confirmed_at=timezone.now())
    refused = [f"{n}：没有可以在现场确认的学位" for n in sorted(wanted - known)]
    told = {"confirmed": count, "refused": len(refused)}
    record("enrolment.confirmed_at_counter", found, by=by, case=found.case, data=told)
    return count, refused


def _offered(row: Registration, by: Actor) -> Registration:
    """The held row of who has a place to confirm now; raises UserError."""
    guarded(row, by)
    hold_step(row.round)
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
    """A child is out of its round; a place that it had is free. For the system and the round's clerks."""
    if not by.everything:
        by.require("enrolment.manage", row.round.department)
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
    if not by.everything:
        by.require("enrolment.manage", found.department)
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
    "choose_many",
    "confirm",
    "confirm_many",
    "decline",
    "note_withdrawal",
    "on_application_closed",
    "settle_round",
]
