"""Sending: what is due goes out, tried again with growing waits; sent again by an officer; forgotten."""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from lianyun.capabilities.identity import api as identity
from lianyun.kernel.access import Actor, UserError
from lianyun.kernel.action import action
from lianyun.kernel.event import record

from .. import adapters
from ..models import Message, Sending
from ..rules import declared, sending, words
from .making import LEDGER

BATCH = 50
PATIENCE = 3
"""Failures of a way in a row after which the rest of a batch is put off."""


def send_due(*, by: Actor) -> dict[str, int]:
    """Send what is due now, batch by batch; returns how many went, were simulated, failed.

    A batch is claimed first (its next try already stands in its rows), so that two workers never
    send the same and a worker that dies leaves it to be tried again: at worst one letter goes twice.
    """
    total: Tally[str] = Tally()
    while rows := _claimed():
        went: Tally[str] = Tally()
        down: dict[str, list[str]] = {}
        for letter in _letters(rows):
            went[_send(letter, down)] += len(letter)
        note_sent(went, by=by)
        total.update(went)
    return dict(total)


@action("messages.send")
def note_sent(went: Mapping[str, int], *, by: Actor) -> None:
    """Record how a batch went; each of its rows says so by itself."""
    record("messages.sent", LEDGER, by=by, data=dict(went))


def _claimed() -> list[Sending]:
    """A batch of due rows, counted as tried once more and put off to the next try.

    Of a person's digest all lines are claimed together, so that it is one mail.
    """
    now = timezone.now()
    with transaction.atomic():
        due = Sending.objects.filter(sent_at=None, ended_at=None, due_at__lte=now)
        first = list(
            due.order_by("due_at", "id").select_for_update(skip_locked=True).values_list(
                "pk", "digest", "message__party_id"
            )[:BATCH]
        )  # fmt: skip
        if not first:
            return []
        people = {party for _, digest, party in first if digest}
        more = due.filter(digest=True, message__party_id__in=people) if people else due.none()
        keys = {pk for pk, *_ in first} | set(
            more.select_for_update(skip_locked=True).values_list("pk", flat=True)
        )
        rows = list(Sending.objects.filter(pk__in=keys).select_related("message__party"))
        for row in rows:
            row.tries += 1
            row.due_at = now + (sending.again(row.tries) or dt.timedelta(days=1))
        Sending.objects.bulk_update(rows, ["tries", "due_at"])
    return rows


def _letters(rows: Sequence[Sending]) -> list[list[Sending]]:
    """Rows as they go out: each alone, a person's digest together."""
    digests: dict[int, list[Sending]] = {}
    out: list[list[Sending]] = []
    for row in rows:
        if row.digest:
            digests.setdefault(row.message.party_id, []).append(row)
        else:
            out.append([row])
    return out + list(digests.values())


def _send(rows: list[Sending], down: dict[str, list[str]]) -> str:
    """Send one letter and note it in its rows, outside any transaction: a server may take its time.

    `down` holds the failures of this batch by way: where a way failed so often in a row, the rest is
    put off as if it had been tried, so that a dead server does not hold up the other ways.
    """
    first, now = rows[0], timezone.now()
    failures = down.setdefault(first.channel, [])
    where, simulated, problem, over = "", False, "", False
    try:
        if len(failures) >= PATIENCE:
            raise UserError(failures[-1])
        went = _out(rows)
        where, simulated = went.where, went.simulated
        failures.clear()
    except identity.NoAddress as gone:
        problem, over = str(gone), True
    except UserError as wrong:
        problem = str(wrong)
        failures.append(problem)
    for row in rows:
        row.where, row.simulated, row.problem = where, simulated, problem[:120]
        row.sent_at = None if problem else now
        row.ended_at = now if problem and (over or row.tries >= sending.TRIES) else None
    Sending.objects.bulk_update(rows, ["where", "simulated", "problem", "sent_at", "ended_at"])
    return "failed" if problem else "simulated" if simulated else "sent"


def _out(rows: list[Sending]) -> identity.Sent:
    first, city, site = rows[0], adapters.city(), adapters.site()
    party, heads = first.message.party, [r.message.title for r in rows]
    if first.channel == declared.SMS:
        return identity.send(party, declared.SMS, "", words.text_message(heads[0], city, site))
    return identity.send(party, declared.MAIL, *words.mail(heads, party.name, city, site))


@action("messages.resend")
def resend(numbers: Iterable[int], *, by: Actor) -> int:
    """Try again what did not go out, as if for the first time; what went out is left alone."""
    rows = list(
        Sending.objects.select_for_update(of=("self",))
        .filter(pk__in=list(numbers), sent_at=None)
        .exclude(tries=0, ended_at=None)
        .select_related("message")
    )
    if not rows:
        raise UserError("没有可以重新发送的：已发出或还在等候的不用重发")
    for row in rows:
        row.tries, row.due_at, row.ended_at, row.problem = 0, timezone.now(), None, ""
        record("message.resent", row.message, by=by, data={"channel": row.channel})
    Sending.objects.bulk_update(rows, ["tries", "due_at", "ended_at", "problem"])
    return len(rows)


@action("messages.queue")
def forget(*, by: Actor) -> int:
    """Delete messages older than the terms keep them; returns how many."""
    since = timezone.now() - dt.timedelta(days=adapters.terms().keep_days)
    count = Message.objects.filter(made_at__lt=since).delete()[1].get("inbox.Message", 0)
    record("messages.forgotten", LEDGER, by=by, data={"count": count})
    return count


__all__ = ["forget", "note_sent", "resend", "send_due"]
