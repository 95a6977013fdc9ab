"""Change: a granted change or cancellation reaches register, licence and representation, or waits."""

from __future__ import annotations

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


@action(None)
def settle(*, case: Case, over: bool = False, by: Actor) -> Change:
    """Do what was granted: the register's row, the licence, who may represent the firm, the result.

    One at a time in the city, each on top of what the register is then. What stands in the way (the
    firm is gone, the name is taken, another change of the same item came first) waits for an officer;
    `over` is the officer's word that the other change does not matter. Called again nothing happens:
    the row is merged by its key, the licence is renewed once. Raises Denied.
    """
    _allowed(case, by)
    kind = queries.subjects().get(case.subject)
    if kind is None:
        raise Denied("这件申请不是变更或注销登记")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    row = Change.objects.filter(case=case).first() or Change(
        case=case, kind=kind, credit_code=queries.firm_of(case), name=str(case.applicant or "")
    )
    if row.made_at is not None:
        record("change.seen", row, by=by, case=case)
        return row
    if _step(case) is None or case.state != Case.OPEN:
        raise UserError("这件申请现在不在变更登记簿的环节")
    try:
        with transaction.atomic():
            _make(row, over and not by.everything, by)
    except UserError as trouble:
        row.trouble, row.batch, row.licence, row.made_at = str(trouble)[:400], "", "", None
        row.save()
        record("change.waits", row, by=by, case=case, data={"message": row.trouble})
    return row


def _make(row: Change, over: bool, by: Actor) -> None:
    """Register, licence, representation, result; raises UserError with what stands in the way."""
    case, code = row.case, row.credit_code
    before = adapters.registered(code)
    audit.record_reading(
        by=by, resource="legal_entity", people=[code], purpose=f"{row.get_kind_display()}：读取登记簿"
    )  # fmt: skip
    if wrong := faults(by, case, row.kind, before):
        raise UserError("；".join(wrong))
    assert before is not None
    now = timezone.localtime()
    after = {**before, "update_time": now.strftime("%Y-%m-%d %H:%M:%S")}
    row.name = before["entity_name"]
    given: licences.Licence | None = None
    if row.kind == rules.CANCEL:
        _cancel(row, after, now.date().isoformat())
    else:
        given = _change(row, before, after, over, now.date().isoformat(), by)
    row.licence = str(given.identifier) if given is not None else ""
    row.trouble, row.made_at = "", timezone.now()
    row.save()
    filed = hall.filer(case, SYSTEM)
    told = {"firm": row.name, "items": row.words}
    to = [p.ref for p in dict.fromkeys(filter(None, (case.applicant, filed)))]
    words = "企业已注销" if row.kind == rules.CANCEL else f"已变更：{row.words}"
    hall.deliver(case, given, f"{row.name}{words}", by=SYSTEM)
    kind = "firm.cancelled" if row.kind == rules.CANCEL else "firm.changed"
    record(kind, case, by=by, case=case, data={**told, "title": words, "to": to})
    cases.receive(case, MESSAGE, {"batch": row.batch}, f"{case.code}:{MESSAGE}", by=by)


def _change(
    row: Change, before: dict[str, str], after: dict[str, str], over: bool, today: str, by: Actor
) -> licences.Licence | None:
    case, code = row.case, row.credit_code
    answers = hall.answers(case, SYSTEM)
    items, values = rules.wanted(answers)
    pairs = rules.differing(before, values)
    if not pairs and rules.HOLDERS not in items:
        raise UserError("登记库中已经是申请的内容，没有需要变更的")
    other = meanwhile(case, items)
    if other is not None and not over:
        raise UserError(f"提交后“{other.words}”已由办件 {other.case.code} 变更过，请核实后登记")
    if any(p.column == "entity_name" for p in pairs):
        verdict = queries.check_name(by, values["entity_name"], code)
        if verdict.level == rules.BAD:
            raise UserError("；".join(verdict.reasons))
    row.items = list(items)
    after.update({p.column: p.after for p in pairs})
    after["approved_on"] = today
    row.batch = adapters.put(after, SYSTEM)
    if rules.HOLDERS in items:
        row.sealed = adapters.seal(list(answers.get("shareholders") or ()), HOLDERS_USE)
    row.name = after["entity_name"]
    printed = any(p.column in rules.PRINTED for p in pairs)
    licence = _licence(row, after) if printed else None
    if row.name != before["entity_name"]:
        identity.rename_entity(code, row.name, by=SYSTEM)
    if any(p.column == "legal_rep_number" for p in pairs):
        identity.end_representations(
            code, keep=after["legal_rep_number"], why="企业已变更法定代表人", by=SYSTEM
        )
    return licence


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


def _cancel(row: Change, after: dict[str, str], today: str) -> None:
    after.update({"entity_status": rules.GONE, "cancelled_on": today})
    row.batch = adapters.put(after, SYSTEM)
    party = row.case.applicant
    assert party is not None
    held = licences.current(LICENCE, party, SYSTEM)
    if held is not None:
        licences.end_licence(held, ending="annulled", reason="企业注销登记", by=SYSTEM)
    identity.end_representations(row.credit_code, why="企业已注销登记", by=SYSTEM)


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
