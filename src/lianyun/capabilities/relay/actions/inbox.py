"""Inbox: who may speak, what was said, once; a late or contrary message is kept and changes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.desk import api as desk
from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, Denied, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case, WorkItem

from .. import adapters, queries, rules
from ..models import Handover, Message, System
from ..rules import Said

Answer = tuple[int, dict[str, Any]]


class Refused(Exception):
    """A request that is turned away; `code` is one of rules.ERRORS, `words` says more where it helps."""

    def __init__(self, code: str, words: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status, said = rules.ERRORS[code]
        self.told = {"error": code, "message": words or said}


def let_in(method: str, path: str, headers: Mapping[str, str], body: bytes) -> System:
    """The system that has signed a request; raises Refused, alike for everybody who has not."""
    system = queries.by_code(headers.get("X-Lianyun-System", ""))
    if system is None:
        raise Refused("unknown_system")
    signed, key = headers.get("X-Lianyun-Signature", ""), headers.get("Idempotency-Key", "")
    what = body or rules.signed_path(method, path)
    now = int(time.time())
    good = [
        adapters.genuine(secret, signed, key, what, now) for secret in adapters.keys_of(system.key)
    ]
    if not key or not any(good):
        raise Refused("bad_signature")
    return system


def take_in(system: System, told: Any, *, pulled: bool = False) -> Answer:
    """Take one message of a system: (HTTP status, answer). Safe to repeat and in any order.

    The message is kept under its number whatever it does; the same number with other content is
    refused. Raises Refused.
    """
    try:
        said = rules.read(told)
    except rules.BadMessage as wrong:
        raise Refused("malformed", str(wrong)) from wrong
    plain = json.dumps(told, ensure_ascii=False, sort_keys=True).encode()
    digest = hashlib.sha256(plain).hexdigest()
    with transaction.atomic():
        # The row is held, so that of two deliveries of one message the second finds the first.
        row = (
            Handover.objects.select_for_update(of=("self",))
            .select_related("system__party", "system__department", "case__applicant", "grant")
            .filter(system=system, number=said.case)
            .first()
        )
        if row is None:
            raise Refused("unknown_case")
        known = Message.objects.filter(system=system, number=said.number).first()
        if known is not None:
            if known.digest != digest:
                raise Refused("number_reused")
            return 200, {"number": known.number, "effect": known.effect, "repeated": True}
        kept = _take(row=row, said=said, sealed=plain, pulled=pulled, by=queries.acting(system))
    return 200, {"number": kept.number, "effect": kept.effect, "message": kept.words}


@action(None)
def _take(*, row: Handover, said: Said, sealed: bytes, pulled: bool, by: Actor) -> Message:
    """Keep a message and do what it says; what cannot be done is kept for the desk."""
    # A case that was withdrawn a moment ago has ended, though its system was not yet told so.
    gone = "withdrawn" if Case.objects.select_for_update().get(pk=row.case_id).closed_at else ""
    standing = rules.Standing(row.outcome or gone, row.clock_at, row.supplemented)
    try:
        effect = rules.judge(said, standing)
    except rules.BadMessage as wrong:
        raise Refused(str(wrong)) from wrong
    message = Message(
        system=row.system,
        handover=row,
        number=said.number,
        kind=said.kind,
        at=said.at,
        pulled=pulled,
        sealed=adapters.seal(sealed),
        digest=hashlib.sha256(sealed).hexdigest(),
        effect=effect,
        words=said.words[:400],
    )
    row.heard_at = timezone.now()
    row.taken_at = row.taken_at or row.heard_at  # it speaks of the case: our answer was lost
    row.own_number = said.own_number or row.own_number
    where = {"title": f"{row.system.party.name}：{rules.KINDS[said.kind]}", "number": said.number}
    if effect == rules.TAKEN:
        try:
            with transaction.atomic():
                work(row, said, by)
        except (UserError, Denied) as stuck:
            message.effect, message.words = rules.STUCK, f"{message.words}（{stuck}）"[:400]
            row.refresh_from_db(fields=["clock_at", "supplemented", "outcome", "ended_at"])
        else:
            if row.latest_at is None or said.at >= row.latest_at:
                row.latest, row.latest_at = said.words[:400], said.at
    message.save()
    row.save()
    if message.effect == rules.TAKEN and said.kind == rules.PROGRESS:
        told = {
            "title": f"{row.system.party.name}：{said.body['title']}",
            "note": said.body["note"],
        }
        record("relay.progressed", row.case, by=by, case=row.case, data=told)
    elif message.effect == rules.TAKEN:
        record("relay.taken", row, by=by, case=row.case, data={**where, "note": said.words})
    else:
        words = rules.EFFECTS[message.effect][0]
        record(f"relay.{message.effect}", row, by=by, data={**where, "message": words})
    return message


def work(row: Handover, said: Said, by: Actor) -> None:
    """Do what a message says to the case; raises UserError where the case does not allow it."""
    match said.kind:
        case rules.SUPPLEMENT:
            _supplement(row, said, by)
        case rules.SUSPENDED:
            desk.suspend_case(row.case, said.body["cause"], said.body["reason"], by=by)
            row.clock_at = said.at
        case rules.RESUMED:
            if _paused(row):
                desk.resume_case(row.case, by=by)
            row.clock_at = said.at
        case rules.RESULT:
            conclude(row, said.body["outcome"], said.body, said.number, by)


def _paused(row: Handover) -> bool:
    return Case.objects.filter(pk=row.case_id, state=Case.SUSPENDED).exists()


def _put(case: Case, **told: Any) -> Case:
    """What later steps and pages read of a case, written into its locked row."""
    held = Case.objects.select_for_update().get(pk=case.pk)
    held.data = {**held.data, **told}
    held.save(update_fields=["data"])
    return held


def _open_step(case: Case) -> WorkItem | None:
    """The step that waits for the system now."""
    return (
        WorkItem.objects.filter(case=case, permission=queries.SETTLE, done_at=None)
        .select_related("case__path", "department")
        .first()
    )


def _supplement(row: Handover, said: Said, by: Actor) -> None:
    item = _open_step(row.case)
    if item is None or all(o.name != rules.SUPPLEMENT for o in item.declared.outcomes):
        raise UserError("补正只能一次告知，本办件已经告知过")
    if row.case.items.filter(step="supplement").exists():
        raise UserError("补正只能一次告知，受理时已经告知过")
    held = _put(
        row.case,
        supplement={
            "items": said.body["items"],
            "note": said.body["note"],
            "told_at": timezone.now().isoformat(),
            "by": row.system.party.name,
        },
    )
    cases.receive(
        held, rules.MESSAGE, {}, f"relay:{row.system.code}:{said.number}",
        outcome=rules.SUPPLEMENT, by=by,
    )  # fmt: skip
    row.supplemented = True
    record("application.sent_back", held, by=by, case=held, data={"note": said.words})


def conclude(row: Handover, outcome: str, told: Mapping[str, Any], once: str, by: Actor) -> None:
    """A result: the decision as people read it, the path's answer, the licence given at once.

    A 补正 that is still waited for is needless then, and a pause that the system asked for ends.
    What the licence lacks waits for an officer at 制证送达, as the desk does it.
    """
    if row.clock_at is not None and _paused(row):
        desk.resume_case(row.case, by=by)
    decision = desk.decision(
        outcome,
        reason=str(told.get("reason") or ""),
        basis=str(told.get("basis") or ""),
        remedy=str(desk.settings()["remedies"].get(outcome, "")),
        on=timezone.localdate(),
        by=str(told.get("decided_by") or row.system.department.name),
    )
    held = _put(row.case, resolution=decision)
    needless = held.items.filter(step="system_supplement", done_at=None).first()
    if needless is not None:
        mine = queries.acting(row.system, held.applicant_id)
        cases.step(needless, "moot", note="部门已作出决定", by=mine)
    word = {"by": decision["by"], "reason": decision["reason"]}
    cases.receive(
        held, rules.MESSAGE, word, f"relay:{row.system.code}:{once}", outcome=outcome, by=by
    )
    given = {k: decision[k] for k in ("reason", "rule", "result")} | {"outcome": decision["title"]}
    record("application.decided", held, by=by, case=held, data=given)
    row.outcome, row.ended_at = outcome, timezone.now()
    row.letters.exclude(taken_at=None).update(sealed="")
    if outcome == rules.GRANTED:
        hand_out(row.case, dict(told.get("elements") or {}), by)


def hand_out(case: Case, elements: Mapping[str, Any], by: Actor) -> None:
    """Give the result out; what the licence lacks leaves it to the department's officer."""
    item = WorkItem.objects.filter(case=case, step="deliver", done_at=None).first()
    if item is None:
        return
    try:
        with transaction.atomic():
            desk.work(item, "deliver", elements=elements, by=by)
    except (UserError, Denied) as wait:
        record("application.result_waits", case, by=by, case=case, data={"message": str(wait)})


# ---- files -----------------------------------------------------------------------------------


@action(None)
def fetch_file(*, system: System, number: str, code: str, by: Actor) -> tuple[str, str, bytes]:
    """One file of a case that is with the system, under its grant and on record; raises Refused."""
    row = (
        Handover.objects.select_related(
            "system__party", "system__department", "case__applicant", "grant"
        )
        .filter(system=system, number=number)
        .first()
    )
    if row is None:
        raise Refused("unknown_case")
    if row.ended_at is not None or not row.grant.in_force():
        raise Refused("closed")
    found = queries.file_of(by, row, code)
    if found is None:
        raise Refused("unknown_file")
    _, person = queries.content(by, row.case, row.grant)
    audit.record_exchange(
        channel="relay",
        grant_code=row.grant.code,
        resource=f"item.{row.grant.terms['item']}",
        operation="file",
        version=0,
        by=by,
        people=[person] if person else [],
        purpose=str(row.grant.terms["purpose"]),
        case_code=row.case.code,
        request=code.encode(),
        response_digest=hashlib.sha256(found[2]).digest(),
        rows=1,
        micros=0,
        outcome="ok",
    )
    record("relay.file_fetched", row, by=by, data={"file": code, "case": row.case.code})
    return found


__all__ = ["Refused", "conclude", "fetch_file", "hand_out", "let_in", "take_in", "work"]
