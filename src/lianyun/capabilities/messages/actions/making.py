"""Making: the sealed ledger is read on and becomes messages; mornings have their own."""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor
from lianyun.kernel.action import action
from lianyun.kernel.event import Event, record

from .. import adapters, queries
from ..models import Choice, Cursor, Message, Sending
from ..queries import Plan
from ..rules import declared, sending, words

LEDGER = "system:messages"


def take(*, by: Actor) -> int:
    """Read the sealed ledger on from where it was left and make the messages; returns how many.

    The place and the messages are written in one transaction, so nothing is told twice and nothing
    passed over, wherever a worker dies; of two readers the second waits for the row and reads on.
    """
    made, more = 0, True
    while more:
        with transaction.atomic():
            place = _place()
            events, reached, more = queries.next_events(by, place.seq)
            if events:
                made += queue_messages(events, by=by)
            if reached != place.seq:
                place.seq = reached
                place.save(update_fields=["seq"])
    return made


def _place() -> Cursor:
    Cursor.objects.get_or_create(pk=1)
    return Cursor.objects.select_for_update().get(pk=1)


@action("messages.queue")
def queue_messages(events: Sequence[Event], *, by: Actor) -> int:
    """Make the messages of some events; called again with the same it makes none. Returns how many.

    An event that cannot be read is recorded as such and does not hold up the others.
    """
    wanted, faults = queries.plans(by, events)
    made = _write(wanted)
    for event, why in faults:
        record("message.not_made", event.subject, by=by, data={"kind": event.kind, "reason": why})
    record("messages.queued", LEDGER, by=by, data={"count": made, "events": len(events)})
    return made


@action("messages.queue")
def tell_work(day: dt.date, *, by: Actor) -> int:
    """Tell every officer what waits for him on a day, once; returns how many were told."""
    kind = adapters.kinds().get("work_waits")
    plans = [
        Plan(kind, w.party, None, f"day:{day}", {
            "waiting": w.waiting, "near": w.near or "", "overdue": w.overdue or "", "day": day,
        })
        for w in (queries.work(by, day) if kind else [])
        if kind is not None
    ]  # fmt: skip
    made = _write(plans)
    record("messages.queued", LEDGER, by=by, data={"count": made, "kind": "work_waits"})
    return made


@action("messages.queue")
def tell_readings(day: dt.date, *, by: Actor) -> int:
    """Tell everybody who was read about on a day by how many and whom, once; returns how many."""
    kind = adapters.kinds().get("data_read")
    plans = [
        Plan(kind, r.party, None, f"day:{day}", {
            "count": r.count, "day": day, "said": r.departments,
        })
        for r in (queries.readings(by, day) if kind else [])
        if kind is not None
    ]  # fmt: skip
    made = _write(plans)
    record("messages.queued", LEDGER, by=by, data={"count": made, "kind": "data_read"})
    return made


def on_account_erased(event: Event) -> None:
    """Listener: an account that was erased keeps no messages and no choices; bears a second call."""
    key = event.subject.partition(":")[2]
    if key.isdigit():
        Message.objects.filter(party_id=int(key)).delete()
        Choice.objects.filter(party_id=int(key)).delete()


def _write(plans: Sequence[Plan]) -> int:
    """Write what is not there yet: six statements, whatever their number. Returns how many."""
    parties = {p.party.pk for p in plans}
    if not parties:
        return 0
    there = set(
        Message.objects.filter(party_id__in=parties, once__in={p.once for p in plans}).values_list(
            "key", "once", "party_id"
        )
    )
    chosen = {
        (c.party_id, c.key, c.channel): c.on for c in Choice.objects.filter(party_id__in=parties)
    }
    rows: list[tuple[Plan, Message, list[str]]] = []
    for plan in plans:
        mark = (plan.kind.key, plan.once, plan.party.pk)
        if mark in there:
            continue
        there.add(mark)
        ways = [
            way
            for way in plan.kind.ways
            if plan.kind.goes(way, chosen.get((plan.party.pk, plan.kind.key, way)))
        ]
        if ways:
            rows.append((plan, _message(plan, declared.INBOX in ways), ways))
    Message.objects.bulk_create([m for _, m, _ in rows], batch_size=1000)
    _queue(rows)
    return len(rows)


def _message(plan: Plan, shown: bool) -> Message:
    kind, facts = plan.kind, plan.facts
    return Message(
        party=plan.party,
        about=plan.about,
        key=kind.key,
        once=plan.once,
        title=words.fill(kind.head, facts)[:200],
        text=words.fill(kind.text, facts)[:2000],
        link=words.fill(kind.link, facts)[:160],
        urgency=kind.urgency,
        legal=kind.legal,
        shown=shown,
    )


def _queue(rows: Sequence[tuple[Plan, Message, list[str]]]) -> None:
    parties = {p.party.pk for p, _, ways in rows if set(ways) & set(declared.OUTER)}
    reach = identity.ways(parties) if parties else {}
    now = timezone.localtime()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    count: Tally[tuple[int, str]] = Tally(
        Sending.objects.filter(
            message__party_id__in=parties, made_at__gte=today, ended_at=None
        ).values_list("message__party_id", "channel")
    )
    terms, out = adapters.terms(), []
    for plan, message, ways in rows:
        for channel in declared.OUTER:
            if channel not in ways or channel not in reach.get(plan.party.pk, ()):
                continue
            row = Sending(
                message=message,
                channel=channel,
                due_at=sending.when(plan.kind, channel, terms, now),
                digest=channel == declared.MAIL and plan.kind.urgency == declared.LOW,
            )
            if sending.too_many(plan.kind, channel, count[plan.party.pk, channel], terms):
                row.problem, row.ended_at = "超过每日上限，只放入消息中心", now
            else:
                count[plan.party.pk, channel] += 1
            out.append(row)
    Sending.objects.bulk_create(out, batch_size=1000)


__all__ = ["on_account_erased", "queue_messages", "take", "tell_readings", "tell_work"]
