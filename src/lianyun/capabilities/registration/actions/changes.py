"""Change: a granted change or cancellation reaches register, licence and representation, or waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.hall import api as hall
from lianyun.capabilities.identity import api as identity
from lianyun.capabilities.licences import api as licences
from lianyun.kernel import case as cases
from lianyun.kernel.access import SYSTEM, Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, Event, WorkItem

from .. import adapters, queries, rules
from ..models import Change
from ..queries.changes import HOLDERS_USE, REGISTER, faults, meanwhile
from .openings import LICENCE, LOCK, MESSAGE, register_firm


def on_decided(event: Event) -> None:
    """A decision about a firm's registration: what was granted is done; called again nothing happens."""
    case = Case.objects.filter(pk=event.case_id_ref or 0).first()
    if case is None or (case.data.get("resolution") or {}).get("result") != "granted":
        return
    if case.subject == f"item:{queries.ITEM}":
        register_firm(case=case, by=SYSTEM)
    elif case.subject in queries.subjects() and _step(case) is not None:
        settle(case=case, by=SYSTEM)


def _step(case: Case) -> WorkItem | None:
    return WorkItem.objects.filter(case=case, step=REGISTER, done_at=None).first()


def _allowed(case: Case, by: Actor) -> None:
    if not by.everything:
        by.require("registration.settle", case.department)
    if (case.data.get("resolution") or {}).get("result") != "granted":
        raise Denied("这件申请没有准予登记")


def settle(*, case: Case, over: bool = False, by: Actor) -> Change:
    """Do what was granted: the register's row, the licence, who may represent the firm, the result.

    One at a time in the city, each on top of what the register is then. What stands in the way (the
    firm is gone, the name is taken, another change of the same item came first) waits for an officer;
    `over` is the officer's word that the other change does not matter. Called again nothing happens.
    That it was begun is on record before the register is touched, and the register is touched last:
    killed in between, the next call finds its own row there and goes on. Raises Denied.
    """
    row = _begin(case=case, over=over, by=by)
    return row if row.made_at is not None or row.trouble else _finish(row, over, by=by)


def _held(case: Case, kind: str) -> Change:
    """The change's row, or a new one; nobody else changes the register until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    return Change.objects.filter(case=case).first() or Change(
        case=case, kind=kind, credit_code=queries.firm_of(case), name=str(case.applicant or "")
    )


@action(None)
def _begin(*, case: Case, over: bool, by: Actor) -> Change:
    _allowed(case, by)
    kind = queries.subjects().get(case.subject)
    if kind is None:
        raise Denied("这件申请不是变更或注销登记")
    row = _held(case, kind)
    if row.made_at is not None:
        record("change.seen", row, by=by, case=case)
        return row
    if _step(case) is None or case.state != Case.OPEN:
        raise UserError("这件申请现在不在变更登记簿的环节")
    try:
        plan = _plan(row, over and not by.everything, by)
    except UserError as trouble:
        return _waits(row, trouble, by)
    row.items, row.trouble = list(plan.items), ""
    row.save()
    record("change.begun", row, by=by, case=case, data={"items": row.words})
    return row


@action(None)
def _finish(begun: Change, over: bool, *, by: Actor) -> Change:
    row = _held(begun.case, begun.kind)
    if row.made_at is not None:
        record("change.seen", row, by=by, case=row.case)
        return row
    try:
        with transaction.atomic():
            _make(row, _plan(row, over and not by.everything, by), by)
    except UserError as trouble:
        return _waits(row, trouble, by)
    return row


def _waits(row: Change, trouble: UserError, by: Actor) -> Change:
    row.trouble, row.batch, row.licence, row.made_at = str(trouble)[:400], "", "", None
    row.save()
    record("change.waits", row, by=by, case=row.case, data={"message": row.trouble})
    return row


@dataclass(frozen=True)
class _Plan:
    """What is to be done: the row as it is and as it will be, the items, the columns touched."""

    before: dict[str, str]
    after: dict[str, str]
    items: tuple[str, ...]
    touched: frozenset[str]
    answers: dict[str, Any]


def _plan(row: Change, over: bool, by: Actor) -> _Plan:
    """Held against the register as it is now; raises UserError with what stands in the way."""
    case, code = row.case, row.credit_code
    begun = row.pk is not None and bool(row.items)
    before = adapters.registered(code)
    audit.record_reading(
        by=by, resource="legal_entity", people=[code], purpose=f"{row.get_kind_display()}：读取登记簿"
    )  # fmt: skip
    now = timezone.localtime()
    today, stamp = now.date().isoformat(), now.strftime("%Y-%m-%d %H:%M:%S")
    if row.kind == rules.CANCEL:
        # A row that we have cancelled ourselves, before we were killed, stands in nobody's way.
        ours = begun and not queries.ended(code)
        if not (ours and before and before.get("entity_status") == rules.GONE):
            _faultless(case, row.kind, before, by)
        assert before is not None
        after = {**before, "entity_status": rules.GONE, "update_time": stamp}
        after["cancelled_on"] = before.get("cancelled_on") or today
        return _Plan(before, after, (rules.CANCEL,), frozenset({"entity_status"}), {})
    _faultless(case, row.kind, before, by)
    assert before is not None
    answers = hall.answers(case, SYSTEM)
    items, values = rules.wanted(answers)
    pairs = rules.differing(before, values)
    if not pairs and rules.HOLDERS not in items and not begun:
        raise UserError("登记库中已经是申请的内容，没有需要变更的")
    other = meanwhile(case, items)
    if other is not None and not over:
        raise UserError(f"提交后“{other.words}”已由办件 {other.case.code} 变更过，请核实后登记")
    if any(p.column == "entity_name" for p in pairs):
        verdict = queries.check_name(by, values["entity_name"], code)
        if verdict.level == rules.BAD:
            raise UserError("；".join(verdict.reasons))
    after = {**before, **{p.column: p.after for p in pairs}}
    after |= {"approved_on": today, "update_time": stamp}
    touched = frozenset(values) if begun else frozenset(p.column for p in pairs)
    return _Plan(before, after, items, touched, answers)


def _faultless(case: Case, kind: str, row: dict[str, str] | None, by: Actor) -> None:
    if wrong := faults(by, case, kind, row):
        raise UserError("；".join(wrong))


def _make(row: Change, plan: _Plan, by: Actor) -> None:
    """Licence, representation, result, and last the register; raises UserError where one refuses."""
    case, code, after = row.case, row.credit_code, plan.after
    given: licences.Licence | None = None
    row.name = after["entity_name"]
    if row.kind == rules.CANCEL:
        _end_licence(case)
        identity.end_representations(code, why="企业已注销登记", by=SYSTEM)
    else:
        given = _licence(row, after) if plan.touched & rules.PRINTED else None
        if rules.HOLDERS in plan.items:
            told = list(plan.answers.get("shareholders") or ())
            row.sealed = adapters.seal(told, HOLDERS_USE)
        if "entity_name" in plan.touched:
            identity.rename_entity(code, row.name, by=SYSTEM)
        if "legal_rep_number" in plan.touched:
            identity.end_representations(
                code, keep=after["legal_rep_number"], why="企业已变更法定代表人", by=SYSTEM
            )
    row.licence = str(given.identifier) if given is not None else ""
    row.trouble, row.made_at = "", timezone.now()
    words = "企业已注销" if row.kind == rules.CANCEL else f"已变更：{row.words}"
    hall.deliver(case, given, f"{row.name}{words}", by=SYSTEM)
    row.batch = adapters.put(after, SYSTEM)
    row.save()
    to = [p.ref for p in dict.fromkeys(filter(None, (case.applicant, hall.filer(case, SYSTEM))))]
    kind = "firm.cancelled" if row.kind == rules.CANCEL else "firm.changed"
    data = {"firm": row.name, "items": row.words, "title": words, "to": to}
    record(kind, case, by=by, case=case, data=data)
    cases.receive(case, MESSAGE, {"batch": row.batch}, f"{case.code}:{MESSAGE}", by=by)


def _licence(row: Change, after: dict[str, str]) -> licences.Licence:
    """The firm's licence in its next version, or its first where the city has given none yet."""
    party, why = row.case.applicant, f"变更登记：{row.words}"
    assert party is not None
    held = licences.current(LICENCE, party, SYSTEM)
    if held is None:
        once = f"{row.credit_code}|{row.credit_code}"
        return licences.issue(LICENCE, None, after, case=row.case, once=once, by=SYSTEM)
    names = licences.kinds()[LICENCE].names
    told = {k: after[k] for k in names if k in after}
    # From here on it is the city's own: a run over the register leaves it as it is.
    source = f"case:{row.case.code}"
    return licences.change_licence(held, told, why=why, case=row.case, source=source, by=SYSTEM)


def _end_licence(case: Case) -> None:
    assert case.applicant is not None
    held = licences.current(LICENCE, case.applicant, SYSTEM)
    if held is not None:
        licences.end_licence(held, ending="annulled", reason="企业注销登记", by=SYSTEM)


@action(None)
def abandon(*, case: Case, reason: str, by: Actor) -> None:
    """What was granted cannot be registered: the case goes back to the head, who tells the refusal."""
    _allowed(case, by)
    if not reason.strip():
        raise UserError("请写明不能登记的理由")
    found = queries.change_of(case) or queries.of_case(case)
    if found is not None and found.made_at is not None:
        raise UserError("已经登记，不能退回")
    record("change.abandoned", case, by=by, case=case, data={"message": reason.strip()[:400]})
    cases.receive(
        case, MESSAGE, {"reason": reason.strip()[:400]}, f"{case.code}:{MESSAGE}",
        outcome="failed", by=by,
    )  # fmt: skip


__all__ = ["LICENCE", "MESSAGE", "abandon", "on_decided", "settle"]
