"""Rounds: planned by one, approved by another, walked step by step; lists are published on the way."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.clock import calendar as working_days
from lianyun.kernel.event import record, record_many

from .. import adapters
from ..models import Allotment, Registration, Round, School
from ..queries import rounds
from ..rules import allot as allotting
from ..rules import calendar
from .allotting import inputs, locked

PATH = "enrolment_round"
Places = Sequence[tuple[str, str, int, Sequence[str]]]
"""Schools of a round: code, name, places, codes of the towns they serve."""


def _days(days: Mapping[str, dt.datetime | None]) -> dict[str, str]:
    if wrong := calendar.faults(days):
        raise UserError("；".join(wrong))
    return {k: v.isoformat() for k, v in days.items() if v is not None and k in calendar.TITLES}


def _put_schools(found: Round, schools: Places) -> None:
    if not schools:
        raise UserError("至少要有一所学校")
    codes = [s[0] for s in schools]
    if twice := {c for c in codes if codes.count(c) > 1}:
        raise UserError(f"学校标识码重复：{'、'.join(sorted(twice))}")
    for code, name, places, _ in schools:
        if not code or not name or not 0 <= places <= 5000:
            raise UserError(f"学校 {name or code} 的标识码、名称或学位数有误（学位数 0 至 5000）")
    found.schools.exclude(code__in=codes).delete()
    for code, name, places, towns in schools:
        School.objects.update_or_create(
            round=found,
            code=code[:20],
            defaults={"name": name[:100], "places": places, "towns": list(towns)},
        )


@action(None)
def make_round(
    scheme: str,
    *,
    year: int,
    title: str,
    days: Mapping[str, dt.datetime | None],
    schools: Places,
    by: Actor,
) -> Round:
    """Plan a round of a declared points table; it opens when another person has approved it."""
    declared = adapters.schemes().get(scheme)
    if declared is None:
        raise UserError("没有这份积分方案")
    department = rounds.department_of(by, declared.department)
    if department is None:
        raise UserError("积分方案的组织部门不存在")
    by.require("enrolment.manage", department)
    if not 2000 <= year <= 2100:
        raise UserError("年份有误")
    number = Round.objects.filter(year=year, stage=declared.stage).count() + 1
    found = Round(
        code=f"{year}-{declared.stage}-{number}",
        scheme=scheme,
        title=title.strip()[:120] or f"{year} 年{calendar.STAGES[declared.stage]}积分入学",
        year=year,
        stage=declared.stage,
        department=department,
        by=by.party,
        days=_days(days),
    )
    found.save()
    _put_schools(found, schools)
    found.case = cases.open_case(
        PATH,
        title=found.title,
        subject=found.ref,
        department=department,
        data={"round": found.code},
        once=found.ref,
        by=by,
    )
    found.save(update_fields=["case"])
    record("enrolment.planned", found, by=by, case=found.case, data={"schools": len(schools)})
    return found


@action("enrolment.manage", department=lambda found, **_: found.department)
def edit_round(
    found: Round,
    *,
    title: str,
    days: Mapping[str, dt.datetime | None],
    schools: Places,
    by: Actor,
) -> None:
    """Change a plan that is not yet handed in for approval."""
    held = locked(found)
    if rounds.phase(by, held) != calendar.PREPARE:
        raise UserError("方案已经提交审定，不能再修改")
    held.title, held.days, held.by = title.strip()[:120] or held.title, _days(days), by.party
    held.save(update_fields=["title", "days", "by"])
    _put_schools(held, schools)
    record("enrolment.edited", held, by=by, case=held.case, data={"schools": len(schools)})


@action("enrolment.manage", department=lambda found, **_: found.department)
def reschedule(
    found: Round, *, days: Mapping[str, dt.datetime | None], reason: str, by: Actor
) -> None:
    """Change the days of a round that is open; everybody sees the change with its reason.

    Days that have passed stay as they were.
    """
    if not reason.strip():
        raise UserError("调整日程须写明原因")
    held, now = locked(found), rounds.now()
    if rounds.phase(by, held) in (calendar.PREPARE, calendar.OVER):
        raise UserError("现在不能调整日程")
    before = held.moments
    changed = [k for k in calendar.TITLES if days.get(k) != before.get(k)]
    for key in changed:
        if (old := before.get(key)) is not None and old <= now:
            raise UserError(f"“{calendar.TITLES[key]}”已经过了，不能再改")
    held.days = _days(days)
    held.save(update_fields=["days"])
    told = {"days": [calendar.TITLES[k] for k in changed], "reason": reason.strip()[:300]}
    record("enrolment.rescheduled", held, by=by, case=held.case, data=told)


# ---- the steps -----------------------------------------------------------------------------


def _submit(found: Round, by: Actor) -> None:
    if not found.schools.filter(places__gt=0).exists():
        raise UserError("没有一所学校有学位")
    if found.moments["register_until"] <= rounds.now():
        raise UserError("登记截止时间已经过了，请先修改日程")


def _approve(found: Round, by: Actor) -> None:
    """The points table is fixed, and the lots' secret is drawn and promised, before anybody enters."""
    if found.by_id is not None and by.party is not None and by.party.pk == found.by_id:
        raise Denied("方案由您制定，须由另一人审定")
    scheme = adapters.schemes()[found.scheme]
    table = adapters.newest_table(scheme.table)
    if table is None:
        raise UserError(f"没有决策表 {scheme.table}")
    secret = secrets.token_hex(32)
    found.content, found.table_version = adapters.declared(found.scheme), table.version
    found.secret = audit.encrypt(secret.encode(), rounds.USE)
    found.promise = hashlib.sha256(secret.encode()).hexdigest()
    found.save(update_fields=["content", "table_version", "secret", "promise"])


def _passed(found: Round, step: str) -> None:
    """Raises UserError where the days of a step are not over."""
    end = calendar.until(step, found.turn, found.moments)
    if end is None:
        raise UserError("请先在日程中补上这一步的截止时间")
    if rounds.now() < end:
        raise UserError(f"这一步到 {end:%Y-%m-%d %H:%M} 才截止，现在还不能结束")


def _settled(found: Round, by: Actor) -> None:
    open_cases = rounds.open_cases(by, found)
    words = {"check": "件材料待核对", "review": "件复核待答复", "objection": "件异议待答复"}
    if waiting := [f"{n} {words[k]}" for k, n in open_cases.items() if n]:
        raise UserError(f"还有 {'、'.join(waiting)}，办完后才能继续")


def _list(found: Round, by: Actor) -> list[tuple[Registration, allotting.Entrant]]:
    rows = rounds.entered(by, found).select_related("guardian").order_by("pk")
    return [
        (r, allotting.Entrant(r.pk, r.number, int((r.points or 0) * 100), tuple(r.ties)))
        for r in rows
    ]


def _tell(
    kind: str, found: Round, told: Sequence[tuple[Registration, dict[str, Any]]], by: Actor
) -> None:
    """One event for every family, naming whom it concerns; poured in one statement."""
    record_many(
        kind,
        [
            (
                r,
                {
                    "to": r.guardian.ref,
                    "round": found.title,
                    "number": r.number,
                    "code": r.code,
                    **d,
                },
            )
            for r, d in told
        ],
        by=by,
    )


def _publish_points(found: Round, by: Actor) -> None:
    _settled(found, by)
    listed = _list(found, by)
    if not listed:
        raise UserError("没有人登记，不能公示")
    today = timezone.localdate()
    days = rounds.scheme_of(found).objection_days
    found.objections_until, _ = working_days().deadline(today, days)
    found.published_at = timezone.now()
    found.save(update_fields=["objections_until", "published_at"])
    until = found.objections_until.isoformat()
    told = [(r, {"points": r.shown_points, "until": until}) for r, _ in listed]
    _tell("enrolment.points_published", found, told, by)


def _rank(found: Round, by: Actor) -> None:
    """The order is fixed: lots are drawn from the promised secret and the list as it now stands."""
    if found.objections_until is None or timezone.localdate() <= found.objections_until:
        raise UserError(f"公示到 {found.objections_until} 期满，现在还不能公布位次")
    _settled(found, by)
    listed = _list(found, by)
    if not listed:
        raise UserError("名单里没有人，不能公布位次")
    found.digest = allotting.list_digest(e for _, e in listed)
    secret = audit.decrypt(found.secret, rounds.USE).decode()
    found.seed = allotting.seed_of(secret, found.digest)
    found.ranked_at = timezone.now()
    found.save(update_fields=["digest", "seed", "ranked_at"])
    ordered = allotting.ranking([e for _, e in listed], found.seed)
    ranks = {e.id: at for at, e in enumerate(ordered, 1)}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enrolment_registration r SET rank = t.rank FROM"
            " unnest(%s::bigint[], %s::int[]) AS t(id, rank) WHERE r.id = t.id",
            [list(ranks), list(ranks.values())],
        )
    end = found.moments["choose_until"]
    told = [
        (r, {"points": r.shown_points, "rank": ranks[r.pk], "until": f"{end:%Y-%m-%d %H:%M}"})
        for r, _ in listed
    ]
    _tell("enrolment.ranked", found, told, by)


def _hand_in(found: Round, by: Actor) -> None:
    there = Allotment.objects.filter(round=found, turn=found.turn).first()
    if there is None:
        raise UserError("请先派位")
    if there.inputs != inputs(found, by).digest:
        raise UserError("派位之后有人退出或者名额有变，请重新派位")


def _publish_result(found: Round, by: Actor) -> None:
    """The second name: the allotment becomes everybody's result."""
    made = Allotment.objects.select_for_update().get(round=found, turn=found.turn)
    if by.party is not None and by.party.pk == made.made_by_id:
        raise Denied("派位由您操作，须由另一人审定")
    if made.inputs != inputs(found, by).digest:
        raise UserError("派位之后有人退出或者名额有变，请退回重新派位")
    made.signed_by, made.published_at = by.party, timezone.now()
    made.save(update_fields=["signed_by", "published_at"])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE enrolment_registration r SET school_id = s.school_id, wish = s.wish"
            " FROM enrolment_seat s WHERE s.allotment_id = %s AND s.registration_id = r.id"
            " AND s.school_id IS NOT NULL",
            [made.pk],
        )
    end = calendar.until(calendar.CONFIRM, found.turn, found.moments)
    until = f"{end:%Y-%m-%d %H:%M}" if end else ""
    following = rounds.scheme_of(found).next
    placed, rest = [], []
    for seat in made.seats.select_related("registration__guardian", "school"):
        told: dict[str, Any] = {"rank": seat.registration.rank}
        if seat.school is not None:
            placed.append((seat.registration, {**told, "school": seat.school.name, "until": until}))
        else:
            rest.append((seat.registration, {**told, "next": following}))
    _tell("enrolment.placed", found, placed, by)
    _tell("enrolment.unplaced", found, rest, by)


def _lapse(found: Round, by: Actor) -> None:
    """Places that nobody confirmed in time are given up."""
    late = list(
        rounds.entered(by, found)
        .filter(school__isnull=False, confirmed_at=None, declined_at=None)
        .select_related("guardian", "school")
    )
    Registration.objects.filter(pk__in=[r.pk for r in late]).update(declined_at=timezone.now())
    told = [(r, {"school": r.school.name if r.school else ""}) for r in late]
    _tell("enrolment.lapsed", found, told, by)


def _again(found: Round, by: Actor) -> None:
    _passed(found, calendar.CONFIRM)
    end = found.moments.get("again_until")
    if found.turn == 1 and (end is None or end <= rounds.now()):
        raise UserError("请先在日程中补上晚于现在的“补录志愿截止”")
    if found.turn > 1:
        raise UserError("补录已经进行过一次，请结束这一轮")
    _lapse(found, by)
    if not any(rounds.left(by, found).values()):
        raise UserError("没有放弃或空余的学位，请直接结束这一轮")
    found.turn += 1
    found.save(update_fields=["turn"])


def _finish(found: Round, by: Actor) -> None:
    _passed(found, calendar.CONFIRM)
    _lapse(found, by)


def _choose_over(found: Round, by: Actor) -> None:
    _passed(found, calendar.CHOOSE)


def _register_over(found: Round, by: Actor) -> None:
    _passed(found, calendar.REGISTER)


_BEFORE: dict[tuple[str, str], Callable[[Round, Actor], None]] = {
    (calendar.PREPARE, "submit"): _submit,
    (calendar.APPROVE, "approve"): _approve,
    (calendar.REGISTER, "close"): _register_over,
    (calendar.CHECK, "publish"): _publish_points,
    (calendar.OBJECT, "rank"): _rank,
    (calendar.CHOOSE, "close"): _choose_over,
    (calendar.ALLOT, "submit"): _hand_in,
    (calendar.SIGN, "publish"): _publish_result,
    (calendar.CONFIRM, "again"): _again,
    (calendar.CONFIRM, "finish"): _finish,
}


@action(None)
def move(found: Round, step: str, outcome: str, *, note: str = "", by: Actor) -> None:
    """Take a round from one step to the next: what belongs to it happens, or nothing at all.

    `step` is the one that the page showed: of two who press, the second is told. Raises UserError
    (not the day, something open, done already) and Denied (not the right, not the second name).
    """
    held = locked(found)
    if held.case is None or rounds.phase(by, held) != step:
        raise UserError("这一步已经办过了，请刷新页面")
    item = held.case.items.select_related("department", "case__path").get(done_at=None, step=step)
    by.require(item.permission, item.department)
    if (before := _BEFORE.get((step, outcome))) is not None:
        before(held, by)
    case = cases.step(item, outcome, note=note, by=by)
    record("enrolment.moved", held, by=by, case=case, data={"step": step, "outcome": outcome})


__all__ = ["edit_round", "make_round", "move", "reschedule"]
