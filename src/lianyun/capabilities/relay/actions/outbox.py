"""Outbox: letters written with the case, sent in order until they are taken, silent cases asked after."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from typing import Any

from django.db import transaction
from django.utils import timezone
from procrastinate import exceptions
from procrastinate.contrib.django import app

from lianyun.capabilities.audit import api as audit
from lianyun.kernel import case as cases
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import WorkItem

from .. import adapters, queries, rules
from ..adapters import WireError
from ..models import Handover, Letter, System
from .inbox import Refused, take_in

RUN = "lianyun.run"
MOST = 500
"""So many letters in one job; the next minute goes on."""
log = logging.getLogger("lianyun.relay")


def queue(code: str) -> bool:
    """Have a worker look at a system; False where one is asked to already."""
    task = app.configure_task(
        RUN, queue="jobs", queueing_lock=f"relay:{code}", lock=f"relay:{code}"
    )
    try:
        with transaction.atomic():
            task.defer(path="lianyun.capabilities.relay.jobs.carry", arguments={"code": code})
    except exceptions.AlreadyEnqueued:
        return False
    return True


def move_on(*, by: Actor) -> list[str]:
    """Each minute: hand over what waits, tell of what has ended, queue who is to be called; their codes.

    All of it is found in the rows, so that a process killed anywhere loses nothing.
    """
    by.require("relay.settle")
    for item in queries.waiting_steps():
        try:
            take_up(item=item, by=by)
        except UserError:
            log.exception("relay: step %s is not handed over", item.pk)
    for row in queries.gone():
        end(row=row, outcome="withdrawn", words="申请已撤回或已由其他方式办结", by=by)
    codes = [s.code for s in queries.due(timezone.now())]
    for code in codes:
        queue(code)
    return codes


@action("relay.settle")
def take_up(*, item: WorkItem, by: Actor) -> Handover | None:
    """Hand a waiting step to its system: one letter in the transaction that notes it.

    An item for which no system is granted goes on at the desk. Called twice nothing more happens.
    """
    case = item.case
    held = Handover.objects.select_for_update().filter(case=case, ended_at=None).first()
    if held is not None and held.token == item.token:
        record("relay.seen", held, by=by)
        return held
    if held is not None:
        held.token, held.heard_at, held.asked_at = item.token, timezone.now(), None
        held.save(update_fields=["token", "heard_at", "asked_at"])
        answered = (case.data.get("supplement") or {}).get("answered", "")
        write(held, rules.SUPPLEMENTED, {"note": answered}, by, whole=True)
        return held
    found = queries.grant_of(str(case.data.get("item") or ""), case.department)
    if found is None:
        words = "没有可用的部门系统，由审批台办理"
        record("relay.none", case, by=by, case=case, data={"message": words})
        cases.receive(
            case, rules.MESSAGE, {"note": words}, f"relay-none:{case.code}:{item.token}", outcome=rules.BACK, by=by
        )  # fmt: skip
        return None
    system, grant = found
    before = Handover.objects.filter(case=case).count()
    row = Handover.objects.create(
        number=f"{case.code}-{before + 1}",
        system=system,
        case=case,
        grant=grant,
        token=item.token,
    )
    write(
        row,
        rules.HANDED,
        {"due_on": item.due_on.isoformat() if item.due_on else ""},
        by,
        whole=True,
    )
    return row


def write(
    row: Handover, kind: str, told: dict[str, Any], by: Actor, *, whole: bool = False
) -> Letter:
    """A letter in this transaction; `whole` puts into it what the grant gives of the application."""
    count = row.letters.count() + 1
    number = f"{row.number}-{count}"
    body: dict[str, Any] = {
        "number": number,
        "kind": kind,
        "case": row.number,
        "at": timezone.localtime().isoformat(timespec="seconds"),
        **told,
    }
    if whole:
        given, _ = queries.content(queries.acting(row.system), row.case, row.grant)
        body |= given
    raw = json.dumps(body, ensure_ascii=False, sort_keys=True, default=str).encode()
    letter = Letter.objects.create(
        number=number,
        handover=row,
        kind=kind,
        sealed=adapters.seal(raw),
        digest=hashlib.sha256(raw).hexdigest(),
    )
    record("relay.written", letter, by=by, data={"kind": kind, "case": row.case.code})
    return letter


@action("relay.settle")
def end(*, row: Handover, outcome: str, words: str, by: Actor) -> None:
    """A case is no longer its system's: it is told so, and nothing it says changes the case any more."""
    held = Handover.objects.select_for_update(of=("self",)).select_related("system", "case").get(
        pk=row.pk
    )  # fmt: skip
    if held.ended_at is not None:
        record("relay.seen", held, by=by)
        return
    finish(held, outcome)
    write(held, rules.CLOSED, {"outcome": outcome, "note": words}, by)
    record("relay.ended", held, by=by, data={"outcome": outcome})


def finish(row: Handover, outcome: str) -> None:
    """Note the end in the locked row; bodies that were taken are forgotten."""
    row.outcome, row.ended_at = outcome, timezone.now()
    row.save(update_fields=["outcome", "ended_at"])
    row.letters.exclude(taken_at=None).update(sealed="")


# ---- carrying --------------------------------------------------------------------------------


def carry(*, code: str, by: Actor) -> int:
    """Send a system what waits for it and ask after what is silent; how many letters it took.

    One process at a time. Safe to be killed at any point: an attempt is noted before it is sent,
    and a letter that is sent again bears the same number and the same bytes.
    """
    by.require("relay.settle")
    system = System.objects.select_related("party", "department").get(code=code)
    with adapters.alone(system.pk) as mine:
        if not mine:
            return 0
        taken, tried = 0, set[int]()
        while taken < MOST:
            system.refresh_from_db()
            now = timezone.now()
            if system.closed_at or system.paused or (system.next_at and system.next_at > now):
                return taken
            letter = (
                queries.outgoing(system)
                .exclude(handover__in=tried)
                .select_related(
                    "handover__grant",
                    "handover__case__applicant",
                    "handover__case__path",
                    "handover__system__party",
                    "handover__system__department",
                )
                .first()
            )
            if letter is None:
                break
            if _send(letter, by):
                taken += 1
            else:
                tried.add(letter.handover_id)
        for row in queries.to_ask(system, timezone.now()):
            if not ask(row=row, by=by):
                break
    return taken


def _send(letter: Letter, by: Actor) -> bool:
    row = letter.handover
    system = row.system
    if letter.kind != rules.CLOSED and not row.grant.in_force():
        _fail(letter=letter, wrong=WireError("事项授权已停止，内容不再外发", final=True), by=by)
        return False
    begin(letter=letter, by=by)
    try:
        told = adapters.call(
            queries.place(system),
            "POST",
            "/messages",
            letter.number,
            adapters.unseal(letter.sealed),
        )
    except WireError as wrong:
        _fail(letter=letter, wrong=wrong, by=by)
        return False
    settle(letter=letter, told=told, by=by)
    return True


@action(None)
def begin(*, letter: Letter, by: Actor) -> None:
    """An attempt: noted, and on record as an exchange, before anything leaves."""
    if not letter.recorded and letter.kind != rules.CLOSED:
        row = letter.handover
        body = json.loads(adapters.unseal(letter.sealed))
        number = str((body.get("applicant") or {}).get("number") or "")
        letter.recorded = audit.record_exchange(
            channel="relay",
            grant_code=row.grant.code,
            resource=f"item.{row.grant.terms['item']}",
            operation="handover",
            version=0,
            by=queries.acting(row.system),
            people=[number] if number else [],
            purpose=str(row.grant.terms["purpose"]),
            case_code=row.case.code,
            request=letter.number.encode(),
            response_digest=bytes.fromhex(letter.digest),
            rows=1,
            micros=0,
            outcome="ok",
        )
    letter.attempts += 1
    letter.save(update_fields=["attempts", "recorded"])
    record("relay.tried", letter, by=by, data={"attempt": letter.attempts})


@action(None)
def settle(*, letter: Letter, told: dict[str, Any], by: Actor) -> None:
    """A system has taken a letter; the applicant reads where the case is now."""
    now = timezone.now()
    row = Handover.objects.select_for_update(of=("self",)).get(pk=letter.handover_id)
    # What of it does not change was read with the letter.
    row.system, row.case = letter.handover.system, letter.handover.case
    letter.taken_at, letter.error = now, ""
    letter.sealed = "" if row.ended_at is not None else letter.sealed
    letter.save(update_fields=["taken_at", "error", "sealed"])
    own = str(told.get("own_number") or "")[:64]
    row.own_number = own or row.own_number
    row.taken_at = row.taken_at or now
    row.heard_at = now
    row.save(update_fields=["own_number", "taken_at", "heard_at"])
    System.objects.filter(pk=row.system_id).update(
        attempts=0, next_at=None, error="", reached_at=now
    )
    where = {"title": f"{rules.LETTERS[letter.kind]}：{row.system.party.name}"}
    note = f"对方编号 {row.own_number}" if row.own_number and letter.kind == rules.HANDED else ""
    if letter.kind == rules.CLOSED:
        record("relay.closed_told", row, by=by)
    else:
        record("relay.sent", row.case, by=by, case=row.case, data={**where, "note": note})


@action(None)
def _fail(*, letter: Letter, wrong: WireError, by: Actor) -> None:
    """Wait longer each time; what is refused for good, or too often, is a dead letter."""
    letter.error = str(wrong)[:300]
    letter.refusals += not wrong.away
    dead = wrong.final or letter.refusals >= rules.ATTEMPTS
    letter.dead_at = timezone.now() if dead else None
    letter.save(update_fields=["error", "refusals", "dead_at"])
    if wrong.away or not dead:
        system = System.objects.select_for_update().get(pk=letter.handover.system_id)
        _rest(system, wrong)
    record(
        "relay.dead" if dead else "relay.failed",
        letter,
        by=by,
        data={"reason": letter.error, "attempts": letter.attempts},
    )


def _rest(system: System, wrong: WireError) -> None:
    """Nobody is there: all that waits for this system waits for its next call."""
    system.attempts += 1
    system.error = str(wrong)[:300]
    system.next_at = timezone.now() + adapters.pause(system.attempts)
    system.save(update_fields=["attempts", "error", "next_at"])


# ---- asking ----------------------------------------------------------------------------------


def ask(*, row: Handover, by: Actor) -> bool:
    """Ask a system what it has said of a case, and take what never arrived; False where it is away."""
    try:
        told = adapters.call(
            queries.place(row.system), "GET", f"/cases/{row.number}", adapters.nonce()
        )
    except WireError as wrong:
        _asked(row=row, wrong=wrong, by=by)
        return not wrong.away
    said = told.get("messages")
    for message in said[:200] if isinstance(said, list) else []:
        with contextlib.suppress(Refused):  # what it refuses is refused when it is pushed, too
            take_in(row.system, message, pulled=True)
    _asked(row=row, wrong=None, by=by)
    return True


@action(None)
def _asked(*, row: Handover, wrong: WireError | None, by: Actor) -> None:
    """Note that a case was asked after; one that the system does not know is handed over again."""
    now = timezone.now()
    Handover.objects.filter(pk=row.pk).update(asked_at=now)
    again = 0
    if wrong is None:
        System.objects.filter(pk=row.system_id).update(
            attempts=0, next_at=None, error="", reached_at=now
        )
    elif wrong.unknown:
        lost = row.letters.exclude(sealed="").exclude(taken_at=None)
        again = lost.update(taken_at=None, attempts=0, refusals=0)
    elif wrong.away:
        _rest(System.objects.select_for_update().get(pk=row.system_id), wrong)
    record(
        "relay.asked", row, by=by,
        data={"reason": str(wrong or ""), "again": again, "case": row.case.code},
    )  # fmt: skip


__all__ = [
    "RUN",
    "ask",
    "begin",
    "carry",
    "end",
    "finish",
    "move_on",
    "queue",
    "settle",
    "take_up",
    "write",
]
