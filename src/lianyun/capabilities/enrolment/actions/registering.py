"""Registering: a child is entered by its guardian through the hall, or at a counter; its points are counted."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.forms import api as forms
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record, record_many
from lianyun.kernel.models import Party

from .. import adapters
from ..models import Registration, Round
from ..queries import own, rounds
from ..rules import calendar, points
from ..rules.scheme import Scheme

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_TWICE = "孩子已经在这一轮登记过了（可能由另一位监护人登记），不能重复登记"


def _code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


def _number(found: Round, row: Registration) -> str:
    """What is published of a registration: year, stage, a running number that names nobody."""
    return f"{found.year % 100:02d}{'P' if found.stage == 'primary' else 'J'}{row.pk:06d}"


def locked(row: Registration) -> Registration:
    """The registration's row, held until the transaction ends."""
    return (
        Registration.objects.select_for_update(of=("self",))
        .select_related("round__department", "round__case", "child", "guardian", "case", "school")
        .get(pk=row.pk)
    )


def hold_step(found: Round) -> None:
    """Keep a round in its step until the transaction ends; families do not wait for each other.

    Taken before any registration's row, as the steps of a round take both in this order.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM enrolment_round WHERE id = %s FOR SHARE", [found.pk])


def guarded(row: Registration, by: Actor) -> None:
    """Raises Denied unless `by` is the guardian who entered the child, and still is its guardian."""
    if by.party is None or by.party.pk != row.guardian_id:
        raise Denied("没有这份登记")
    if not identity.may_act(by.party, row.child, own.SCOPE):
        raise Denied("您与孩子的监护关系已经终止，不能再办理")


def _enters(found: Round, child: Party, by: Actor) -> None:
    """Raises UserError where a child cannot be entered in a round at this moment."""
    moments = found.moments
    closed = calendar.registering(rounds.phase(by, found), moments, rounds.now())
    if closed:
        raise UserError(closed)
    day = own.born(child)
    if day is None:
        raise UserError("没有孩子的公民身份号码，请先在“我的代办”中登记")
    first, last = rounds.age_days(found)
    if wrong := calendar.age_problem(day, first, last):
        raise UserError(wrong)
    if Registration.objects.filter(
        round=found, child=child, filed_at__isnull=False, out_at=None
    ).exists():
        raise UserError(_TWICE)


@action(None)
def begin(found: Round, child: Party, *, by: Actor) -> Registration:
    """Begin to enter a child; a second press gets what was begun.

    Raises UserError (not the days, not the age, entered already) and Denied (not its guardian).
    """
    if by.party is None:
        raise Denied("请先登录")
    if child not in own.children(by):
        raise Denied("您不是这个孩子的监护人，请先在“我的代办”中登记监护关系")
    there = Registration.objects.filter(
        round=found, child=child, guardian=by.party, out_at=None
    ).first()
    if there is not None:
        record("enrolment.begun_again", there, by=by)
        return there
    _enters(found, child, by)
    row = Registration(code=_code(), round=found, child=child, guardian=by.party)
    scheme = rounds.scheme_of(found)
    row.application = hall.begin(
        scheme.item, applicant=by.party, answers={}, bundle=row.ref, by=by
    ).code
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as twice:
        raise UserError(_TWICE) from twice
    record("enrolment.begun", row, by=by, data={"round": found.title})
    return row


@action(None)
def prefill(row: Registration, *, by: Actor) -> None:
    """Put the child's name and number into the hall's form; a second call changes nothing."""
    guarded(row, by)
    application = own.application_of(by, row)
    if application is None or not application.draft:
        raise UserError("请先完成授权")
    draft = forms.draft_of(application.draft, by)
    told = {
        "child_name": forms.Filled(row.child.name, "监护关系登记"),
        "child_number": forms.Filled(identity.number_of(row.child), "监护关系登记"),
    }
    forms.fill(draft, told, by=by)
    record("enrolment.prefilled", row, by=by)


def consent(row: Registration, *, keys: Sequence[str], by: Actor) -> list[str]:
    """Consent to these sources; the hall asks them, and the form begins with the child's name.

    Returns what to tell where a source did not answer. May be repeated until the child is entered.
    """
    guarded(row, by)
    application = own.application_of(by, row)
    if application is None or row.filed_at is not None:
        raise UserError("登记已经提交，不能再修改授权")
    application = hall.consent(application, keys=keys, by=by)
    book = hall.look_up(application, by=by)
    prefill(row, by=by)
    return list(dict.fromkeys(book.down.values()))


def family(row: Registration) -> adapters.Family:
    """Whom the registers are asked about."""
    numbers = identity.numbers_of([row.guardian_id, row.child_id])
    return adapters.Family(row.pk, numbers.get(row.guardian_id, ""), numbers.get(row.child_id, ""))


def counted_on(found: Round) -> dt.date:
    """The day up to which months are counted: the last of the registration."""
    return found.moments["register_until"].date()


def look(row: Registration, *, by: Actor) -> points.Sheet:
    """Count a family's points as they stand now, under its consents; each look-up goes on record.

    Nothing is kept but the record: what is shown before filing.
    """
    guarded(row, by)
    sheet, _, looks = _ask(row, by)
    _noted(row, looks, by=by)
    return sheet


def _ask(
    row: Registration, by: Actor
) -> tuple[points.Sheet, dict[str, points.Known], list[adapters.Look]]:
    scheme = rounds.scheme_of(row.round)
    consents = own.consents(by, row)
    day = counted_on(row.round)
    told, looks = adapters.facts(scheme, [family(row)], list(consents), day)
    known = told[row.pk]
    for fact in scheme.facts.values():
        known.setdefault(fact.name, points.Known(fact.name, how=points.REFUSED))
    return points.count(scheme, rounds.model_of(row.round), known, day), known, looks


@action(None)
def _noted(row: Registration, looks: Sequence[adapters.Look], *, by: Actor) -> None:
    _write_looks(row, looks, by)
    record("enrolment.looked_up", row, by=by, data={"sources": [one.source for one in looks]})


def _write_looks(row: Registration, looks: Sequence[adapters.Look], by: Actor) -> None:
    """Each look-up on record: under which consent, for which application."""
    grants = own.consents(by, row)
    numbers = identity.numbers_of([row.guardian_id, row.child_id])
    whose = {"guardian": row.guardian_id, "child": row.child_id}
    reader = Actor(
        party=Party.objects.filter(slug="hall").first() or row.round.department,
        department=row.round.department,
    )
    for one in looks:
        audit.record_exchange(
            channel="hall",
            grant_code=grants[one.source].code,
            resource=one.source,
            operation="query",
            version=0,
            by=reader,
            people=[numbers[whose[w]] for w in one.whose if whose[w] in numbers],
            purpose=f"“{row.round.title}”：计算积分",
            case_code=row.application,
            request=one.source.encode(),
            response_digest=hashlib.sha256(f"{one.source}:{one.known}".encode()).digest(),
            rows=one.known,
            micros=one.micros,
            outcome="failed" if one.failed else ("ok" if one.known else "empty"),
        )


def put_points(row: Registration, sheet: points.Sheet, known: Mapping[str, points.Known]) -> None:
    """Set what was counted on a row that its caller holds and saves."""
    told = {
        "facts": {name: fact.told for name, fact in known.items()},
        "lines": [line.told for line in sheet.lines],
    }
    row.sealed = audit.encrypt(json.dumps(told, ensure_ascii=False).encode(), rounds.USE)
    row.points, row.ties, row.town = sheet.points, list(sheet.ties), sheet.town[:12]


def recount(row: Registration, changed: Mapping[str, points.Known]) -> points.Sheet:
    """Count a held row anew with some facts corrected; its caller saves it."""
    known = {**own.facts_of(row), **changed}
    scheme = rounds.scheme_of(row.round)
    sheet = points.count(scheme, rounds.model_of(row.round), known, counted_on(row.round))
    put_points(row, sheet, known)
    return sheet


def file(row: Registration, *, by: Actor) -> Registration:
    """Enter the child: points are counted and the hall's case is opened, once.

    The registers are read before the transaction. A second press, a second tab, a retry after a
    crash find the first. Raises UserError (closed a minute ago, entered twice, form not whole).
    """
    guarded(row, by)
    if row.filed_at is not None:
        return row
    sheet, known, looks = _ask(row, by)
    return _file(row, sheet, known, looks, by=by)


@action(None)
def _file(
    row: Registration,
    sheet: points.Sheet,
    known: Mapping[str, points.Known],
    looks: Sequence[adapters.Look],
    *,
    by: Actor,
) -> Registration:
    hold_step(row.round)
    held = locked(row)
    if held.filed_at is not None:
        record("enrolment.filed_again", held, by=by, case=held.case)
        return held
    _enters(held.round, held.child, by)
    application = own.application_of(by, held)
    if application is None or not application.draft:
        raise UserError("请先完成授权和表单")
    answers = forms.answers(forms.draft_of(application.draft, by), by)
    if str(answers.get("child_number", "")).upper() != identity.number_of(held.child):
        raise UserError("表单中孩子的公民身份号码与监护关系登记的不一致，请改回")
    held.case = hall.file(application, bundle={}, by=by)
    held.filed_at, held.number = timezone.now(), _number(held.round, held)
    put_points(held, sheet, known)
    try:
        with transaction.atomic():
            held.save()
    except IntegrityError as twice:
        raise UserError(_TWICE) from twice
    _write_looks(held, looks, by)
    told = {
        "to": held.guardian.ref,
        "round": held.round.title,
        "number": held.number,
        "points": held.shown_points,
        "code": held.code,
    }
    record("enrolment.counted", held, by=by, case=held.case, data=told)
    return held


# ---- at a counter --------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One family that came in person with identity cards and a signed consent."""

    guardian: str
    guardian_name: str
    child: str
    child_name: str


@action("enrolment.manage", department=lambda found, entries, **_: found.department)
def register_many(
    found: Round, entries: Sequence[Entry], *, seen: bool, by: Actor
) -> tuple[int, list[str]]:
    """Enter families that came in person (现场登记): returns how many, and who was not and why.

    `seen`: identity cards, proof of guardianship and the signed consent were looked at. The registers
    are asked once for all of them. Who is in already is left alone, so that a list may be sent again.
    """
    if not seen:
        raise UserError("请当面核对身份证、监护关系证明和签字的查询授权书")
    hold_step(found)
    if wrong := calendar.registering(rounds.phase(by, found), found.moments, rounds.now()):
        raise UserError(wrong)
    first, last = rounds.age_days(found)
    known = set(rounds.entered(by, found).values_list("child_id", flat=True))
    refused: list[str] = []
    made: list[Registration] = []
    families: list[adapters.Family] = []
    for place, one in enumerate(entries, 1):
        day = own.birthday(one.child)
        problem = "号码有误" if day is None else calendar.age_problem(day, first, last)
        if not problem:
            try:
                guardian = identity.party_of_number(one.guardian, name=one.guardian_name, by=by)
                child = identity.party_of_number(one.child, name=one.child_name, by=by)
            except UserError as wrong_number:
                problem = str(wrong_number)
            else:
                problem = _unfit(guardian, child, one, known)
        if problem:
            refused.append(f"第 {place} 行：{problem}")
            continue
        known.add(child.pk)
        row = Registration(code=_code(), round=found, child=child, guardian=guardian)
        row.filed_at = timezone.now()
        row.save()
        row.number = _number(found, row)
        made.append(row)
        families.append(adapters.Family(row.pk, one.guardian.upper(), one.child.upper()))
    _count_many(found, made, families, by)
    told = {"entered": len(made), "refused": len(refused)}
    record("enrolment.entered_at_counter", found, by=by, data=told)
    return len(made), refused


def _unfit(guardian: Party, child: Party, one: Entry, known: set[int]) -> str:
    if guardian.pk == child.pk:
        return "监护人和孩子不能是同一人"
    if child.name.strip() != one.child_name.strip():
        return "孩子的姓名与号码不一致"
    return _TWICE if child.pk in known else ""


def _count_many(
    found: Round, rows: Sequence[Registration], families: Sequence[adapters.Family], by: Actor
) -> None:
    scheme: Scheme = rounds.scheme_of(found)
    model, day = rounds.model_of(found), counted_on(found)
    sources = list(dict.fromkeys(f.source for f in scheme.facts.values()))
    told, looks = adapters.facts(scheme, families, sources, day)
    people = [n for f in families for n in (f.guardian, f.child)]
    for one in looks if people else ():
        audit.record_reading(
            by=by, resource=one.source, people=people,
            purpose=f"“{found.title}”：现场登记，经本人书面同意计算积分", rows=one.known,
        )  # fmt: skip
    for row in rows:
        put_points(row, points.count(scheme, model, told[row.pk], day), told[row.pk])
    Registration.objects.bulk_update(
        rows, ["number", "sealed", "points", "ties", "town"], batch_size=500
    )
    record_many(
        "enrolment.counted",
        [
            (r, {"to": r.guardian.ref, "round": found.title, "number": r.number,
                 "points": r.shown_points, "code": r.code})
            for r in rows
        ],
        by=by,
    )  # fmt: skip


__all__ = [
    "Entry",
    "begin",
    "consent",
    "counted_on",
    "file",
    "guarded",
    "hold_step",
    "locked",
    "look",
    "prefill",
    "put_points",
    "recount",
    "register_many",
]
