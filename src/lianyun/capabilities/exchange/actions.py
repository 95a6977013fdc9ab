"""Actions: count calls by the hour, look for misuse, open a case about it or settle it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from lianyun.capabilities.audit import api as audit
from lianyun.capabilities.sharing import api as sharing
from lianyun.kernel.access import SYSTEM, Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record
from lianyun.kernel.models import Case

from . import queries, rules
from .models import Hour, Mark, Suspicion

LOCK = 0x6C79_0E01
MARK = "calls"
BATCH = 2_000


def tally() -> int:
    """Count the calls that came since the last time, by the hour; returns how many hours changed.

    Each hour that has new calls is counted anew from the records, so that counting twice, or again
    after a crash, changes nothing. One process counts at a time; another one leaves at once.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        mark, _ = Mark.objects.get_or_create(name=MARK)
        top, hours = audit.hours_since(SYSTEM, mark.last)
        if hours:
            Hour.objects.filter(hour__in=hours).delete()
        waiting: list[Hour] = []
        for found in audit.tallies(SYSTEM, hours):
            waiting.append(Hour(**{**vars(found), "department_id": found.department_id or 0}))
            if len(waiting) == BATCH:
                Hour.objects.bulk_create(waiting)
                waiting = []
        Hour.objects.bulk_create(waiting)
        mark.last = top
        mark.save(update_fields=["last", "at"])
    return len(hours)


def watch(day: dt.date | None = None) -> list[Suspicion]:
    """Look at every grant's calls of a day (today by default) for what looks like misuse.

    A suspicion of the same rule and day is brought up to date while nobody has looked into it.
    Returns those that are new.
    """
    day = day or timezone.localdate()
    new = []
    for grant, profile in queries.profiles(SYSTEM, day):
        for found in rules.findings(profile):
            with transaction.atomic():
                row, made = Suspicion.objects.get_or_create(
                    grant=grant, rule=found.rule, day=day, defaults={"evidence": found.as_data()}
                )
                if made:
                    new.append(row)
                    record(
                        "misuse.suspected",
                        row,
                        by=SYSTEM,
                        data={"grant": grant.code, "rule": found.rule, "note": found.summary},
                    )
                elif row.waiting and row.evidence != found.as_data():
                    row.evidence = found.as_data()
                    row.save(update_fields=["evidence", "changed_at"])
    return new


def _locked(suspicion: Suspicion) -> Suspicion:
    return (
        Suspicion.objects.select_for_update(of=("self",))
        .select_related("grant__grantee", "grant__resource", "case")
        .get(pk=suspicion.pk)
    )


@action("exchange.judge")
def open_case(*, suspicion: Suspicion, by: Actor) -> Case:
    """Make a suspicion a case of misuse (art. 27); a second click returns the same case."""
    row = _locked(suspicion)
    if row.case is not None:
        record("suspicion.repeated", row, by=by, case=row.case)
        return row.case
    evidence: dict[str, Any] = {
        "summary": row.summary,
        "rule": rules.RULES[row.rule],
        "day": row.day.isoformat(),
        "figures": row.evidence.get("figures", []),
    }
    case = sharing.open_misuse(grant=row.grant, evidence=evidence, by=by)
    row.case, row.settled_at, row.settled_note = case, None, ""
    row.save(update_fields=["case", "settled_at", "settled_note", "changed_at"])
    record("suspicion.taken_up", row, by=by, case=case, data={"rule": row.rule})
    return case


@action("exchange.judge")
def settle(*, suspicion: Suspicion, note: str, by: Actor) -> None:
    """Find a suspicion in order, with the reason; raises UserError where a case is open."""
    row = _locked(suspicion)
    if row.case is not None:
        raise UserError("已经立案，请在办件中处理")
    if len(note.strip()) < 5:
        raise UserError("请写明核实的情况（至少 5 个字）")
    row.settled_at, row.settled_note = timezone.now(), note.strip()[:300]
    row.save(update_fields=["settled_at", "settled_note", "changed_at"])
    record("suspicion.settled", row, by=by, data={"rule": row.rule, "note": row.settled_note})
